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

from progan.pipeline.errors import RunError
from progan.pipeline.imports.converted import (
    SQRT2,
    Converted,
    fitting_model,
    require,
    require_grown_to,
    scale,
)
from progan.pipeline.imports.restricted_pickle import PickledArray, PickledNetwork, read_networks
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
    generator, discriminator, average = (Variables(network) for network in read_networks(path))
    for network in (generator, average):
        network.require_build_function("G_paper")
        require(network.settings, GENERATOR, "the generator")
    size = _grown_to(average)
    require_grown_to(size, resolution)
    widths = {4: len(average["4x4/Conv/bias"])}
    widths |= {r: len(average[f"{r}x{r}/Conv1/bias"]) for r in resolutions(size, 8)}
    networks: dict[Network, dict[str, Tensor]] = {
        "generator": _generator(generator, size),
        "ema": _generator(average, size),
    }
    left_out: dict[Network, str] = {}
    if discriminator.settings.get("fused_scale", True) is not True:
        left_out["discriminator"] = "without fused_scale it takes the mean after the activation"
    elif discriminator.settings.get("mbstd_group_size", 4) < 2:
        left_out["discriminator"] = "it has no minibatch standard deviation"
    else:
        discriminator.require_build_function("D_paper")
        networks["discriminator"] = _discriminator(discriminator, size)
        widths[2] = len(discriminator["4x4/Dense0/bias"])
    model = fitting_model(
        widths,
        latent=average["4x4/Dense/weight"].shape[0],
        channels=len(average["ToRGB_lod0/bias"]),
        stddev_group=max(1, discriminator.settings.get("mbstd_group_size", 4)),
    )
    return Converted(size, model, networks, left_out)


class Variables:
    """A pickled network's variables by name, and its settings."""

    def __init__(self, network: PickledNetwork) -> None:
        state = network.state
        self.build_function = str(state.get("build_func_name"))
        self.settings: dict[str, Any] = dict(state.get("static_kwargs", {}))
        self.scaled = bool(self.settings.get("use_wscale", True))
        self.arrays = {
            str(name): value.value if isinstance(value, PickledArray) else np.asarray(value)
            for name, value in state.get("variables", [])
        }

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.arrays:
            raise RunError(f"the pickle lacks {name}, which the official code's networks have")
        return torch.from_numpy(np.array(self.arrays[name], np.float32))

    def require_build_function(self, name: str) -> None:
        """RunError if the network was built by another function of the official code."""
        if self.build_function != name:
            raise RunError(f"the pickle holds a network made by {self.build_function}, not {name}")

    def dense(self, name: str, gain: float = SQRT2) -> Tensor:
        """(in, out), with the scale multiplied in."""
        weight = self[f"{name}/weight"]
        return scale(weight, gain, weight.shape[0], scaled=self.scaled)

    def conv(self, name: str, gain: float = SQRT2) -> Tensor:
        """HWIO -> (out, in, H, W), with the scale multiplied in."""
        weight = self[f"{name}/weight"].permute(3, 2, 0, 1)
        return scale(weight, gain, weight[0].numel(), scaled=self.scaled)

    def conv_up(self, size: int) -> Tensor:
        """The kernel of an up-scaling convolution, trained with or without fused_scale."""
        if f"{size}x{size}/Conv0/weight" in self.arrays:
            return self.conv(f"{size}x{size}/Conv0")
        weight = self[f"{size}x{size}/Conv0_up/weight"].permute(2, 3, 0, 1).flip(2, 3)
        return scale(weight, SQRT2, weight[0].numel(), scaled=self.scaled)

    def conv_up_bias(self, size: int) -> Tensor:
        """The bias of an up-scaling convolution."""
        unfused = f"{size}x{size}/Conv0/bias"
        return self[unfused if unfused in self.arrays else f"{size}x{size}/Conv0_up/bias"]


def _generator(source: Variables, size: int) -> dict[str, Tensor]:
    dense = source.dense("4x4/Dense", SQRT2 / 4)
    to_rgb = f"ToRGB_lod{_lod(source, size)}"
    weights = {
        "blocks.4.dense.weight": dense.reshape(dense.shape[0], -1, 4, 4),
        "blocks.4.dense.bias": source["4x4/Dense/bias"],
        "blocks.4.conv.weight": source.conv("4x4/Conv"),
        "blocks.4.conv.bias": source["4x4/Conv/bias"],
        f"to_rgb.{size}.weight": source.conv(to_rgb, gain=1.0),
        f"to_rgb.{size}.bias": source[f"{to_rgb}/bias"],
    }
    for r in resolutions(size, 8):
        weights |= {
            f"blocks.{r}.conv0.weight": source.conv_up(r),
            f"blocks.{r}.conv0.bias": source.conv_up_bias(r),
            f"blocks.{r}.conv1.weight": source.conv(f"{r}x{r}/Conv1"),
            f"blocks.{r}.conv1.bias": source[f"{r}x{r}/Conv1/bias"],
        }
    return weights


def _discriminator(source: Variables, size: int) -> dict[str, Tensor]:
    from_rgb = f"FromRGB_lod{_lod(source, size)}"
    weights = {
        f"from_rgb.{size}.weight": source.conv(from_rgb),
        f"from_rgb.{size}.bias": source[f"{from_rgb}/bias"],
        "blocks.4.conv.weight": source.conv("4x4/Conv"),
        "blocks.4.conv.bias": source["4x4/Conv/bias"],
        "blocks.4.dense0.weight": source.dense("4x4/Dense0").T,
        "blocks.4.dense0.bias": source["4x4/Dense0/bias"],
        "head.dense.weight": source.dense("4x4/Dense1", gain=1.0).T,
        "head.dense.bias": source["4x4/Dense1/bias"],
    }
    for r in resolutions(size, 8):
        for ours, theirs in (("conv0", "Conv0"), ("conv1", "Conv1_down")):
            weights[f"blocks.{r}.{ours}.weight"] = source.conv(f"{r}x{r}/{theirs}")
            weights[f"blocks.{r}.{ours}.bias"] = source[f"{r}x{r}/{theirs}/bias"]
    return weights


def _lod(source: Variables, size: int) -> int:
    """Level of detail: the official code counts them from the largest resolution."""
    return round(math.log2(source.settings["resolution"] / size))


def _grown_to(average: Variables) -> int:
    """The resolution that a snapshot has grown to; RunError if it was taken during a fade."""
    largest: int = average.settings.get("resolution", 0)
    if largest not in list(resolutions(1024)):
        raise RunError(f"the pickle's resolution is {largest}, no power of two from 4 to 1024")
    lod = float(average["lod"])
    if lod != round(lod):
        raise RunError(
            f"the snapshot was taken in the middle of a fade (lod {lod:.3f}): a picture is a blend "
            "of two resolutions; take a snapshot from between two fades"
        )
    return max(4, largest >> round(lod))
