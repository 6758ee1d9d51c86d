"""Networks of facebookresearch/pytorch_GAN_zoo (its PGAN).

Differences from the paper's that are folded into the weights: gains of sqrt(2) everywhere, biases
scaled like the weights, and a standard deviation that divides by n - 1. Differences that
`model.variant` covers: one bias per output of the first layer, and downsampling after the
activation. Source: `models/networks/progressive_conv_net.py` and `custom_layers.py` there.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from progan.pipeline.errors import RunError
from progan.pipeline.imports.converted import (
    SQRT2,
    Converted,
    fitting_model,
    load_checkpoint,
    require,
    require_grown_to,
    scale,
)
from progan.stages.storage.pretrained import Network

STDDEV_GROUP = 4


class Settings:
    """Stand-in for the checkpoint's configuration object, which has only attributes."""


def read_gan_zoo(path: Path, resolution: int | None) -> Converted:
    """The networks of a checkpoint of pytorch_GAN_zoo, at the resolution they have grown to."""
    loaded = load_checkpoint(path, {"models.utils.config.BaseConfig": Settings})
    if not {"config", "netG", "netD"} <= loaded.keys():
        raise RunError(f"{path} is no checkpoint of pytorch_GAN_zoo: it lacks config, netG or netD")
    config = loaded["config"] if isinstance(loaded["config"], dict) else vars(loaded["config"])
    settings = {"leakyReluLeak": 0.2, "perChannelNormalization": True, "categoryVectorDim": 0}
    require(config, settings, "the generator")
    if config.get("alpha", 0) > 0:
        raise RunError(
            f"the checkpoint was taken in the middle of a fade (alpha {config['alpha']}): a "
            "picture is a blend of two resolutions; take one from between two fades"
        )
    scaled = bool(config.get("equalizedlR", True))
    average = loaded.get("avgG", loaded["netG"])
    networks: dict[Network, dict[str, Tensor]] = {
        "generator": _generator(Layers(loaded["netG"], scaled)),
        "ema": _generator(Layers(average, scaled)),
    }
    widths = Layers(average, scaled).widths("toRGBLayers", "groupScale0.0")
    size = max(widths)
    require_grown_to(size, resolution)
    left_out: dict[Network, str] = {}
    discriminator = Layers(loaded["netD"], scaled)
    if discriminator.get("decisionLayer", "bias").numel() != 1:
        left_out["discriminator"] = "it tells more than real from fake"
    elif not config.get("miniBatchStdDev", False):
        left_out["discriminator"] = "it has no minibatch standard deviation"
    else:
        networks["discriminator"] = _discriminator(discriminator, size)
        widths[2] = len(discriminator.get("groupScaleZero.1", "bias"))
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

    def __init__(self, state: Mapping[str, Any], scaled: bool) -> None:
        self.state = state
        self.scaled = scaled

    def get(self, name: str, kind: str) -> Tensor:
        """A weight or bias. RunError if it is missing."""
        weight, value = (self.state.get(f"{name}.module.{k}") for k in ("weight", kind))
        if weight is None or value is None:
            raise RunError(f"the checkpoint lacks {name}, which pytorch_GAN_zoo's networks have")
        return scale(value.float(), SQRT2, weight[0].numel(), scaled=self.scaled)

    def layer(self, ours: str, name: str) -> dict[str, Tensor]:
        """Weight and bias by progan's names."""
        return {f"{ours}.{kind}": self.get(name, kind) for kind in ("weight", "bias")}

    def widths(self, rgb: str, first: str) -> dict[int, int]:
        """Feature maps by resolution."""
        widths = {4: len(self.get(first, "bias"))}
        level = 0
        while f"scaleLayers.{level}.1.module.bias" in self.state:
            widths[8 << level] = len(self.get(f"scaleLayers.{level}.1", "bias"))
            level += 1
        return widths


def _generator(source: Layers) -> dict[str, Tensor]:
    widths = source.widths("toRGBLayers", "groupScale0.0")
    dense, bias = source.get("formatLayer", "weight"), source.get("formatLayer", "bias")
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
        **source.layer("blocks.4.dense0", "groupScaleZero.1"),
        **source.layer("head.dense", "decisionLayer"),
        **_scale_layers(source, levels),
    }
    conv = weights["blocks.4.conv.weight"]
    # The standard deviation's map is last; theirs divides by n - 1, ours by n.
    unbiased = math.sqrt(STDDEV_GROUP / (STDDEV_GROUP - 1))
    weights["blocks.4.conv.weight"] = torch.cat([conv[:, :-1], conv[:, -1:] * unbiased], dim=1)
    return weights
