"""Networks of facebookresearch/pytorch_GAN_zoo (its PGAN).

Differences from the paper's that are folded into the weights: gains of sqrt(2) everywhere, biases
scaled like the weights, and a standard deviation that divides by n - 1. Differences that
`model.variant` covers: one bias per output of the first layer, and downsampling after the
activation. Source: `models/networks/progressive_conv_net.py` and `custom_layers.py` there.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from progan.datasets.errors import DataError
from progan.pipeline.imports.converted import (
    SQRT2,
    Converted,
    fitting_model,
    mapping,
    number,
    require,
    require_grown_to,
    scale,
    weight,
)
from progan.pipeline.imports.torch_files import load_checkpoint
from progan.stages.storage.pretrained import Network

STDDEV_GROUP = 4


class Settings:
    """Stand-in for the checkpoint's configuration object, which has only attributes."""


def read_gan_zoo(path: Path, resolution: int | None) -> Converted:
    """The networks of a checkpoint of pytorch_GAN_zoo, at the resolution they have grown to."""
    loaded = load_checkpoint(path, {"models.utils.config.BaseConfig": Settings})
    if not {"config", "netG", "netD"} <= loaded.keys():
        raise DataError("no checkpoint of pytorch_GAN_zoo: it lacks config, netG or netD")
    given = loaded["config"]
    config = mapping(vars(given) if isinstance(given, Settings) else given, "config")
    settings = {"leakyReluLeak": 0.2, "perChannelNormalization": True, "categoryVectorDim": 0}
    require(config, settings, "the generator")
    if (alpha := number(config, "alpha", 0, "config")) > 0:
        raise DataError(
            f"the checkpoint was taken in the middle of a fade (alpha {alpha:g}): a "
            "picture is a blend of two resolutions; take one from between two fades"
        )
    scaled = bool(number(config, "equalizedlR", True, "config"))
    generator = Layers(loaded["netG"], "netG", scaled)
    average = Layers(loaded["avgG"], "avgG", scaled) if "avgG" in loaded else generator
    networks: dict[Network, dict[str, Tensor]] = {
        "generator": _generator(generator),
        "ema": _generator(average),
    }
    widths = average.widths()
    size = max(widths)
    require_grown_to(size, resolution)
    left_out: dict[Network, str] = {}
    discriminator = Layers(loaded["netD"], "netD", scaled)
    if discriminator.get("decisionLayer", "bias", 2).numel() != 1:
        left_out["discriminator"] = "it tells more than real from fake"
    elif not number(config, "miniBatchStdDev", False, "config"):
        left_out["discriminator"] = "it has no minibatch standard deviation"
    else:
        networks["discriminator"] = _discriminator(discriminator, size)
        widths[2] = len(discriminator.get("groupScaleZero.1", "bias", 2))
    model = fitting_model(
        widths,
        latent=networks["ema"]["blocks.4.dense.weight"].shape[0],
        channels=len(networks["ema"][f"to_rgb.{size}.bias"]),
        stddev_group=STDDEV_GROUP,
        variant="pytorch_gan_zoo",
    )
    return Converted(size, model, networks, left_out)


class Layers:
    """A network's layers by name, with scales multiplied into weights and biases."""

    def __init__(self, state: Any, network: str, scaled: bool) -> None:
        self.state = mapping(state, network)
        self.network = network
        self.scaled = scaled

    def get(self, name: str, kind: str, dimensions: int = 4) -> Tensor:
        """A layer's bias, or its weight with `dimensions` axes; DataError without it."""
        path = f"{name}.module."
        for each in ("weight", "bias"):
            if path + each not in self.state:
                raise DataError(f"{self.network} lacks {name}, which pytorch_GAN_zoo's has")
        matrix = weight(self.state[path + "weight"], f"{self.network}.{path}weight", dimensions)
        bias = weight(self.state[path + "bias"], f"{self.network}.{path}bias", 1)
        value = matrix if kind == "weight" else bias
        return scale(value, SQRT2, matrix[0].numel(), scaled=self.scaled)

    def layer(self, ours: str, name: str, dimensions: int = 4) -> dict[str, Tensor]:
        """Weight and bias by progan's names."""
        return {f"{ours}.{kind}": self.get(name, kind, dimensions) for kind in ("weight", "bias")}

    def widths(self) -> dict[int, int]:
        """A generator's feature maps by resolution."""
        widths = {4: len(self.get("groupScale0.0", "bias"))}
        level = 0
        while f"scaleLayers.{level}.1.module.bias" in self.state:
            widths[8 << level] = len(self.get(f"scaleLayers.{level}.1", "bias"))
            level += 1
        return widths


def _generator(source: Layers) -> dict[str, Tensor]:
    widths = source.widths()
    dense, bias = (source.get("formatLayer", kind, 2) for kind in ("weight", "bias"))
    if len(dense) % 16:
        raise DataError(f"{source.network}.formatLayer has {len(dense)} outputs, no 4x4 maps")
    weights = {
        "blocks.4.dense.weight": dense.T.reshape(dense.shape[1], -1, 4, 4),
        "blocks.4.dense.bias": bias.reshape(-1, 4, 4),
        **source.layer("blocks.4.conv", "groupScale0.0"),
        **source.layer(f"to_rgb.{max(widths)}", f"toRGBLayers.{len(widths) - 1}"),
    }
    return weights | _scale_layers(source, len(widths) - 1)


def _scale_layers(source: Layers, levels: int) -> dict[str, Tensor]:
    """The convolutions from 8x8 on, which both networks name alike."""
    weights: dict[str, Tensor] = {}
    for level in range(levels):
        for index in (0, 1):
            name = f"blocks.{8 << level}.conv{index}"
            weights |= source.layer(name, f"scaleLayers.{level}.{index}")
    return weights


def _discriminator(source: Layers, size: int) -> dict[str, Tensor]:
    levels = int(math.log2(size)) - 2
    weights = {
        **source.layer(f"from_rgb.{size}", f"fromRGBLayers.{levels}"),
        **source.layer("blocks.4.conv", "groupScaleZero.0"),
        **source.layer("blocks.4.dense0", "groupScaleZero.1", 2),
        **source.layer("head.dense", "decisionLayer", 2),
        **_scale_layers(source, levels),
    }
    conv = weights["blocks.4.conv.weight"]
    # The standard deviation's map is last; theirs divides by n - 1, ours by n.
    unbiased = math.sqrt(STDDEV_GROUP / (STDDEV_GROUP - 1))
    weights["blocks.4.conv.weight"] = torch.cat([conv[:, :-1], conv[:, -1:] * unbiased], dim=1)
    return weights
