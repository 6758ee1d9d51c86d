"""Networks of akanimax/pro_gan_pytorch.

Differences from the paper's: gains of sqrt(2) everywhere, which are folded into the weights; no
normalisation after the first layer, and downsampling after the activation, which `model.variant`
covers. Source: `pro_gan_pytorch/networks.py`, `modules.py` and `custom_layers.py` there.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from progan.datasets.errors import DataError
from progan.pipeline.errors import ConfigError
from progan.pipeline.imports.converted import (
    SQRT2,
    Converted,
    fitting_model,
    mapping,
    number,
    scale,
    weight,
)
from progan.pipeline.imports.torch_files import load_checkpoint
from progan.stages.networks.widths import resolutions
from progan.stages.storage.pretrained import Network

STDDEV_GROUP = 4


def read_pro_gan(path: Path, resolution: int | None) -> Converted:
    """The networks of a checkpoint of pro_gan_pytorch, by default at their largest resolution.

    A checkpoint holds all resolutions from the start; only its file name says which one was trained
    last.
    """
    loaded = load_checkpoint(path)
    if "generator" not in loaded:
        raise DataError("no checkpoint of pro_gan_pytorch: it lacks a generator")
    generator = Layers(loaded["generator"], "generator")
    average = generator
    if "shadow_generator" in loaded:
        average = Layers(loaded["shadow_generator"], "shadow_generator")
    sizes = list(resolutions(4 << (average.depth - 2)))
    size = resolution or sizes[-1]
    if size not in sizes:
        raise ConfigError(f"--resolution {size}: the checkpoint has {', '.join(map(str, sizes))}")
    networks: dict[Network, dict[str, Tensor]] = {
        "generator": _generator(generator, size),
        "ema": _generator(average, size),
    }
    ema = networks["ema"]
    widths = {4: len(ema["blocks.4.conv.bias"])}
    widths |= {r: len(ema[f"blocks.{r}.conv1.bias"]) for r in resolutions(size, 8)}
    left_out: dict[Network, str] = {}
    if "discriminator" not in loaded:
        left_out["discriminator"] = "it is not in the checkpoint"
    elif (saved := Layers(loaded["discriminator"], "discriminator")).is_conditional:
        left_out["discriminator"] = "it is conditional"
    else:
        networks["discriminator"] = _discriminator(saved, size)
        widths[2] = len(networks["discriminator"]["blocks.4.dense0.bias"])
    model = fitting_model(
        widths,
        latent=ema["blocks.4.dense.weight"].shape[0],
        channels=len(ema[f"to_rgb.{size}.bias"]),
        stddev_group=STDDEV_GROUP,
        variant="pro_gan_pytorch",
    )
    return Converted(size, model, networks, left_out)


class Layers:
    """A network's layers by name, with scales multiplied into the weights."""

    def __init__(self, saved: Any, name: str) -> None:
        network = mapping(saved, name)
        self.name = f"{name}.state_dict"
        self.settings = mapping(network.get("conf"), f"{name}.conf")
        self.state = mapping(network.get("state_dict"), self.name)
        self.scaled = bool(number(self.settings, "use_eql", True, f"{name}.conf"))
        self.depth = int(number(self.settings, "depth", 0, f"{name}.conf"))
        if not 2 <= self.depth <= 10:
            raise DataError(f"{name}.conf's depth is {self.depth}, not from 2 (4x4) to 10 (1024)")
        self.is_conditional = self.settings.get("num_classes") is not None

    def layer(self, ours: str, name: str, *, transposed: bool = False) -> dict[str, Tensor]:
        """Weight and bias by progan's names; a transposed convolution's fan-in is dimension 0."""
        for kind in ("weight", "bias"):
            if f"{name}.{kind}" not in self.state:
                raise DataError(f"{self.name} lacks {name}, which pro_gan_pytorch's has")
        kernel = weight(self.state[f"{name}.weight"], f"{self.name}.{name}.weight", 4)
        bias = weight(self.state[f"{name}.bias"], f"{self.name}.{name}.bias", 1)
        fan_in = kernel.shape[0] if transposed else kernel[0].numel()
        scaled = scale(kernel, SQRT2, fan_in, scaled=self.scaled)
        return {f"{ours}.weight": scaled, f"{ours}.bias": bias}


def _generator(source: Layers, size: int) -> dict[str, Tensor]:
    """Layer i is that of resolution 4 * 2^i."""
    weights = {
        **source.layer("blocks.4.dense", "layers.0.conv_1", transposed=True),
        **source.layer("blocks.4.conv", "layers.0.conv_2"),
    }
    for i, r in enumerate(resolutions(size)):
        if r > 4:
            weights |= source.layer(f"blocks.{r}.conv0", f"layers.{i}.conv_1")
            weights |= source.layer(f"blocks.{r}.conv1", f"layers.{i}.conv_2")
        last = i
    return weights | source.layer(f"to_rgb.{size}", f"rgb_converters.{last}")


def _discriminator(source: Layers, size: int) -> dict[str, Tensor]:
    """Layers are counted from the largest resolution; the last one is that of 4x4."""
    index = {r: source.depth - 2 - i for i, r in enumerate(resolutions(size))}
    weights = source.layer("blocks.4.conv", f"layers.{index[4]}.conv_1")
    weights |= source.layer("blocks.4.dense0", f"layers.{index[4]}.conv_2")
    weights |= source.layer("head.dense", f"layers.{index[4]}.conv_3")
    for dense in ("blocks.4.dense0", "head.dense"):
        weights[f"{dense}.weight"] = weights[f"{dense}.weight"].flatten(1)
    for r in resolutions(size, 8):
        weights |= source.layer(f"blocks.{r}.conv0", f"layers.{index[r]}.conv_1")
        weights |= source.layer(f"blocks.{r}.conv1", f"layers.{index[r]}.conv_2")
    return weights | source.layer(f"from_rgb.{size}", f"from_rgb.{index[size]}.0")
