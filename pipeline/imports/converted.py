"""Converted networks of other programs, and how they are written as a folder of progan's."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from progan.pipeline.errors import RunError
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.widths import width
from progan.stages.specs.model import ModelSpec
from progan.stages.storage.final import Final
from progan.stages.storage.handoff import publish
from progan.stages.storage.pretrained import Network

SQRT2 = math.sqrt(2.0)


@dataclass(frozen=True)
class Converted:
    """Networks of another program, with names and layouts of progan's.

    Each weight is as that program's forward pass uses it: gains and run-time scales are multiplied
    in.
    """

    resolution: int
    model: ModelSpec
    networks: dict[Network, dict[str, Tensor]]
    left_out: dict[Network, str] = field(default_factory=dict)
    """Networks that progan cannot compute equally, and why."""


def write_converted(converted: Converted, out: Path, source_sha256: str) -> None:
    """Write the networks as a folder like a stage's `final/`."""
    kinds: dict[str, type[Generator] | type[Discriminator]] = {
        "generator": Generator,
        "ema": Generator,
        "discriminator": Discriminator,
    }
    networks: dict[str, nn.Module] = {}
    for name, weights in converted.networks.items():
        network = kinds[name](converted.model, converted.resolution)
        load_scaled(name, network, weights)
        networks[name] = network
    final = Final(
        resolution=converted.resolution,
        images_seen=0,
        model=converted.model,
        seed=0,
        data_fingerprint=f"imported from {source_sha256}",
    )
    publish(out, final, networks)


def load_scaled(name: str, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights with run-time scales multiplied in into layers that apply these scales.

    RunError unless names and shapes are exactly the network's.
    """
    scales = {f"{path}.weight": m.scale for path, m in network.named_modules()
              if hasattr(m, "scale")}  # fmt: skip
    state = network.state_dict()
    for key in state.keys() | weights.keys():
        ours = tuple(state[key].shape) if key in state else "nothing"
        theirs = tuple(weights[key].shape) if key in weights else "nothing"
        if ours != theirs:
            raise RunError(f"the {name}'s {key} does not fit: {theirs} where {ours} is expected")
    network.load_state_dict({k: v.float() / scales.get(k, 1.0) for k, v in weights.items()})


def fitting_model(widths: Mapping[int, int], **fields: Any) -> ModelSpec:
    """The model with these feature maps by resolution (2: the discriminator's dense layer).

    RunError if no fmap_base and fmap_max give these feature maps.
    """
    maximum = max(widths.values())
    base = max(math.ceil(maps * resolution / 2) for resolution, maps in widths.items())
    try:
        model = ModelSpec(fmap_base=base, fmap_max=maximum, **fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise RunError(
            f"progan has no such networks: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from error
    if any(width(model, resolution) != maps for resolution, maps in widths.items()):
        raise RunError(
            f"feature maps {dict(sorted(widths.items()))} do not follow "
            "min(2 fmap_base / resolution, fmap_max), as progan's do"
        )
    return model


def require(found: Mapping[str, Any], expected: Mapping[str, Any], of: str) -> None:
    """RunError if a setting of the checkpoint differs from the expected one.

    Settings that are missing are taken to be as expected.
    """
    for key, value in expected.items():
        if found.get(key, value) != value:
            raise RunError(
                f"{of} was trained with {key}={found[key]}, and progan's networks are as with "
                f"{key}={value}; that cannot be folded into the weights"
            )


def require_grown_to(size: int, resolution: int | None) -> None:
    """RunError if another resolution than the one the networks have grown to was requested."""
    if resolution is not None and resolution != size:
        raise RunError(f"--resolution {resolution}: these networks have grown to {size}")


def load_checkpoint(path: Path, allowed: Mapping[str, type] | None = None) -> dict[str, Any]:
    """A checkpoint that torch saved, with tensors and plain values only; runs no code from it.

    allowed: stand-ins, by full name, for classes whose objects are in the file.
    """
    stand_ins: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (stand_in, name) for name, stand_in in (allowed or {}).items()
    ]
    path.open("rb").close()
    try:
        with torch.serialization.safe_globals(stand_ins):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = _reason(str(error))
        raise RunError(f"{path} is no checkpoint of tensors, or damaged: {reason}") from error
    if not isinstance(loaded, dict):
        raise RunError(f"{path} holds a {type(loaded).__name__}, not a checkpoint's dictionary")
    return loaded


def _reason(message: str) -> str:
    """torch's error in one line, without its advice to load the file anyway."""
    match = re.search(r"GLOBAL ([\w.]+)", message)
    if match:
        return f"it names {match[1]}, which no checkpoint of tensors needs"
    if "weights_only" in message or not message.strip():
        return "torch.save writes no such file"
    return message.strip().splitlines()[0][:200]


def scale(weight: Tensor, gain: float, fan_in: int, *, scaled: bool = True) -> Tensor:
    """A weight times gain / sqrt(fan_in); unchanged if the program does not scale its weights."""
    return weight * (gain / math.sqrt(fan_in)) if scaled else weight
