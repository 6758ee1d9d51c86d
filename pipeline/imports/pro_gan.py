"""Networks of akanimax/pro_gan_pytorch.

Differences from the paper's: gains of sqrt(2) everywhere, which are folded into the weights; no
normalisation after the first layer, and downsampling after the activation, which `model.variant`
covers. Source: `pro_gan_pytorch/networks.py`, `modules.py` and `custom_layers.py` there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from progan.pipeline.errors import RunError
from progan.pipeline.imports.converted import (
    SQRT2,
    Converted,
    fitting_model,
    load_checkpoint,
    scale,
)
from progan.stages.networks.widths import resolutions
from progan.stages.storage.pretrained import Network

STDDEV_GROUP = 4


def read_pro_gan(path: Path, resolution: int | None) -> Converted:
    """The networks of a checkpoint of pro_gan_pytorch, by default at their largest resolution.

    A checkpoint holds all resolutions from the start; only its file name says which one was trained
    last.
    """
    loaded = load_checkpoint(path)
    if not _is_network(loaded.get("generator")):
        raise RunError(f"{path} is no checkpoint of pro_gan_pytorch: it lacks a generator")
    generator = Layers(loaded["generator"])
    average = Layers(loaded.get("shadow_generator", loaded["generator"]))
    sizes = list(resolutions(1024))[: int(average.settings["depth"]) - 1]
    size = resolution or sizes[-1]
    if size not in sizes:
        raise RunError(f"--resolution {size}: the checkpoint has {', '.join(map(str, sizes))}")
    networks: dict[Network, dict[str, Tensor]] = {
        "generator": _generator(generator, size),
        "ema": _generator(average, size),
    }
    ema = networks["ema"]
    widths = {4: len(ema["blocks.4.conv.bias"])}
    widths |= {r: len(ema[f"blocks.{r}.conv1.bias"]) for r in resolutions(size, 8)}
    left_out: dict[Network, str] = {}
    if not _is_network(loaded.get("discriminator")):
        left_out["discriminator"] = "it is not in the checkpoint"
    elif loaded["discriminator"]["conf"].get("num_classes") is not None:
        left_out["discriminator"] = "it is conditional"
    else:
        networks["discriminator"] = _discriminator(Layers(loaded["discriminator"]), size)
        widths[2] = len(networks["discriminator"]["blocks.4.dense0.bias"])
    model = fitting_model(
        widths,
        latent=ema["blocks.4.dense.weight"].shape[0],
        channels=len(ema[f"to_rgb.{size}.bias"]),
        stddev_group=STDDEV_GROUP,
        variant="pro_gan_pytorch",
    )
    return Converted(size, model, networks, left_out)


def _is_network(value: Any) -> bool:
    return isinstance(value, dict) and {"conf", "state_dict"} <= value.keys()


class Layers:
    """A network's layers by name, with scales multiplied into the weights."""

    def __init__(self, saved: Mapping[str, Any]) -> None:
        self.settings = saved["conf"]
        self.state = saved["state_dict"]
        self.scaled = bool(self.settings.get("use_eql", True))

    def layer(self, ours: str, name: str, *, transposed: bool = False) -> dict[str, Tensor]:
        """Weight and bias by progan's names; a transposed convolution's fan-in is dimension 0."""
        weight, bias = (self.state.get(f"{name}.{kind}") for kind in ("weight", "bias"))
        if weight is None or bias is None:
            raise RunError(f"the checkpoint lacks {name}, which pro_gan_pytorch's networks have")
        fan_in = weight.shape[0] if transposed else weight[0].numel()
        scaled = scale(weight.float(), SQRT2, fan_in, scaled=self.scaled)
        return {f"{ours}.weight": scaled, f"{ours}.bias": bias.float()}


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
    index = {r: int(source.settings["depth"]) - 2 - i for i, r in enumerate(resolutions(size))}
    weights = source.layer("blocks.4.conv", f"layers.{index[4]}.conv_1")
    weights |= source.layer("blocks.4.dense0", f"layers.{index[4]}.conv_2")
    weights |= source.layer("head.dense", f"layers.{index[4]}.conv_3")
    for dense in ("blocks.4.dense0", "head.dense"):
        weights[f"{dense}.weight"] = weights[f"{dense}.weight"].flatten(1)
    for r in resolutions(size, 8):
        weights |= source.layer(f"blocks.{r}.conv0", f"layers.{index[r]}.conv_1")
        weights |= source.layer(f"blocks.{r}.conv1", f"layers.{index[r]}.conv_2")
    return weights | source.layer(f"from_rgb.{size}", f"from_rgb.{index[size]}.0")
