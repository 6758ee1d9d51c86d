"""Networks of the official TensorFlow code (tkarras/progressive_growing_of_gans).

The networks are the paper's, as progan's are. Layouts: kernels are HWIO, dense weights (in, out);
the kernel of an up-scaling convolution is that of a transposed one, (H, W, out, in), rotated by 180
degrees. Source: `networks.py` and `tfutil.Network.__getstate__` there.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from progan.datasets.errors import DataError
from progan.pipeline.imports.converted import (
    SQRT2,
    Converted,
    describe,
    fitting_model,
    mapping,
    number,
    require,
    require_grown_to,
    scale,
    weight,
)
from progan.pipeline.imports.restricted_pickle import PickledNetwork, read_networks
from progan.stages.networks.widths import resolutions
from progan.stages.storage.pretrained import Network

GENERATOR = {
    "label_size": 0,
    "normalize_latents": True,
    "use_pixelnorm": True,
    "pixelnorm_epsilon": 1e-8,
    "use_leakyrelu": True,
}


def read_official(path: Path, resolution: int | None) -> Converted:
    """The networks of a pickle of the official code, at the resolution they have grown to."""
    generator, discriminator, average = (
        Variables(network, name)
        for network, name in zip(read_networks(path), ("G", "D", "Gs"), strict=True)
    )
    for network in (generator, average):
        network.require_build_function("G_paper")
        require(network.settings, GENERATOR, "the generator")
    size = _grown_to(average)
    require_grown_to(size, resolution)
    widths = {4: len(average.bias("4x4/Conv"))}
    widths |= {r: len(average.bias(f"{r}x{r}/Conv1")) for r in resolutions(size, 8)}
    networks: dict[Network, dict[str, Tensor]] = {
        "generator": _generator(generator, size),
        "ema": _generator(average, size),
    }
    left_out: dict[Network, str] = {}
    group = int(number(discriminator.settings, "mbstd_group_size", 4, "D"))
    if discriminator.settings.get("fused_scale", True) is not True:
        left_out["discriminator"] = "without fused_scale it takes the mean after the activation"
    elif group < 2:
        left_out["discriminator"] = "it has no minibatch standard deviation"
    else:
        discriminator.require_build_function("D_paper")
        networks["discriminator"] = _discriminator(discriminator, size)
        widths[2] = len(discriminator.bias("4x4/Dense0"))
    model = fitting_model(
        widths,
        latent=average.get("4x4/Dense/weight", 2).shape[0],
        channels=len(average.bias("ToRGB_lod0")),
        stddev_group=max(1, group),
    )
    return Converted(size, model, networks, left_out)


class Variables:
    """A pickled network's variables by name, and its settings."""

    def __init__(self, network: PickledNetwork, name: str) -> None:
        state = network.state
        self.network = name
        self.build_function = state.get("build_func_name")
        self.settings = mapping(state.get("static_kwargs", {}), f"{name}'s static_kwargs")
        self.scaled = bool(number(self.settings, "use_wscale", True, name))
        self.values: dict[str, Any] = {}
        variables = state.get("variables")
        if not isinstance(variables, list):
            raise DataError(f"{name}'s variables are {describe(variables)}, not a list")
        for entry in variables:
            match entry:
                case (str(variable), value):
                    self.values[variable] = value
                case _:
                    raise DataError(f"{name}'s variables hold {describe(entry)}, not (name, value)")

    def get(self, name: str, dimensions: int) -> Tensor:
        """A variable, as float32."""
        if name not in self.values:
            raise DataError(f"{self.network} lacks {name}, which the official code's has")
        value = self.values[name]
        array = np.asarray(value) if isinstance(value, float) else getattr(value, "value", None)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            raise DataError(f"{self.network}'s {name} is {describe(value)}, not numbers")
        native = array.astype(array.dtype.newbyteorder("="))
        return weight(torch.from_numpy(native), f"{self.network}'s {name}", dimensions)

    def bias(self, name: str) -> Tensor:
        """A layer's bias, (maps,)."""
        return self.get(f"{name}/bias", 1)

    def require_build_function(self, name: str) -> None:
        """DataError if the network was built by another function of the official code."""
        if self.build_function != name:
            found = describe(self.build_function)
            raise DataError(f"{self.network} is a network made by {found}, not {name}")

    def dense(self, name: str, gain: float = SQRT2) -> Tensor:
        """(in, out), with the scale multiplied in."""
        matrix = self.get(f"{name}/weight", 2)
        return scale(matrix, gain, matrix.shape[0], scaled=self.scaled)

    def conv(self, name: str, gain: float = SQRT2) -> Tensor:
        """HWIO -> (out, in, H, W), with the scale multiplied in."""
        kernel = self.get(f"{name}/weight", 4).permute(3, 2, 0, 1)
        return scale(kernel, gain, kernel[0].numel(), scaled=self.scaled)

    def conv_up(self, size: int) -> Tensor:
        """The kernel of an up-scaling convolution, trained with or without fused_scale."""
        if f"{size}x{size}/Conv0/weight" in self.values:
            return self.conv(f"{size}x{size}/Conv0")
        kernel = self.get(f"{size}x{size}/Conv0_up/weight", 4).permute(2, 3, 0, 1).flip(2, 3)
        return scale(kernel, SQRT2, kernel[0].numel(), scaled=self.scaled)

    def conv_up_bias(self, size: int) -> Tensor:
        """The bias of an up-scaling convolution."""
        unfused = f"{size}x{size}/Conv0"
        return self.bias(unfused if f"{unfused}/bias" in self.values else f"{unfused}_up")


def _generator(source: Variables, size: int) -> dict[str, Tensor]:
    dense = source.dense("4x4/Dense", SQRT2 / 4)
    to_rgb = f"ToRGB_lod{_lod(source, size)}"
    weights = {
        "blocks.4.dense.weight": dense.reshape(dense.shape[0], -1, 4, 4),
        "blocks.4.dense.bias": source.bias("4x4/Dense"),
        "blocks.4.conv.weight": source.conv("4x4/Conv"),
        "blocks.4.conv.bias": source.bias("4x4/Conv"),
        f"to_rgb.{size}.weight": source.conv(to_rgb, gain=1.0),
        f"to_rgb.{size}.bias": source.bias(to_rgb),
    }
    for r in resolutions(size, 8):
        weights |= {
            f"blocks.{r}.conv0.weight": source.conv_up(r),
            f"blocks.{r}.conv0.bias": source.conv_up_bias(r),
            f"blocks.{r}.conv1.weight": source.conv(f"{r}x{r}/Conv1"),
            f"blocks.{r}.conv1.bias": source.bias(f"{r}x{r}/Conv1"),
        }
    return weights


def _discriminator(source: Variables, size: int) -> dict[str, Tensor]:
    from_rgb = f"FromRGB_lod{_lod(source, size)}"
    weights = {
        f"from_rgb.{size}.weight": source.conv(from_rgb),
        f"from_rgb.{size}.bias": source.bias(from_rgb),
        "blocks.4.conv.weight": source.conv("4x4/Conv"),
        "blocks.4.conv.bias": source.bias("4x4/Conv"),
        "blocks.4.dense0.weight": source.dense("4x4/Dense0").T,
        "blocks.4.dense0.bias": source.bias("4x4/Dense0"),
        "head.dense.weight": source.dense("4x4/Dense1", gain=1.0).T,
        "head.dense.bias": source.bias("4x4/Dense1"),
    }
    for r in resolutions(size, 8):
        for ours, theirs in (("conv0", "Conv0"), ("conv1", "Conv1_down")):
            weights[f"blocks.{r}.{ours}.weight"] = source.conv(f"{r}x{r}/{theirs}")
            weights[f"blocks.{r}.{ours}.bias"] = source.bias(f"{r}x{r}/{theirs}")
    return weights


def _lod(source: Variables, size: int) -> int:
    """Level of detail: the official code counts them from the largest resolution."""
    return round(math.log2(source.settings["resolution"] / size))


def _grown_to(average: Variables) -> int:
    """The resolution that a snapshot has grown to; DataError if it was taken during a fade."""
    largest = average.settings.get("resolution")
    if not isinstance(largest, int) or largest not in list(resolutions(1024)):
        raise DataError(f"its resolution is {describe(largest)}, no power of two from 4 to 1024")
    lod = float(average.get("lod", 0))
    last = math.log2(largest) - 2
    if not 0 <= lod <= last:
        raise DataError(f"Gs's lod is {lod:g}, not from 0 (the largest pictures) to {last:g} (4x4)")
    if lod != round(lod):
        raise DataError(
            f"the snapshot was taken in the middle of a fade (lod {lod:.3f}): a picture is a blend "
            "of two resolutions; take a snapshot from between two fades"
        )
    return largest >> round(lod)
