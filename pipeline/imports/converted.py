"""What every importer hands over, and how it becomes networks of progan's."""

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
    """A checkpoint of another program, with each weight as that program's forward pass uses it.

    Names and layouts are progan's; gains and run-time scales are multiplied in.
    """

    resolution: int
    model: ModelSpec
    networks: dict[Network, dict[str, Tensor]]
    left_out: dict[Network, str] = field(default_factory=dict)
    """Networks that progan could not compute alike, and why."""


def write_converted(foreign: Converted, out: Path, source_sha256: str) -> None:
    """Write the networks as a folder like a stage's `final/`."""
    kinds: dict[str, type[Generator] | type[Discriminator]] = {
        "generator": Generator,
        "ema": Generator,
        "discriminator": Discriminator,
    }
    networks: dict[str, nn.Module] = {}
    for name, used in foreign.networks.items():
        network = kinds[name](foreign.model, foreign.resolution)
        load_used(name, network, used)
        networks[name] = network
    final = Final(
        resolution=foreign.resolution,
        images_seen=0,
        model=foreign.model,
        seed=0,
        data_fingerprint=f"imported from {source_sha256}",
    )
    publish(out, final, networks)


def load_used(name: str, network: nn.Module, used: Mapping[str, Tensor]) -> None:
    """Load weights that are used as they are into layers that scale theirs at run time.

    RunError unless names and shapes are exactly the network's.
    """
    scales = {f"{path}.weight": m.scale for path, m in network.named_modules()
              if hasattr(m, "scale")}  # fmt: skip
    state = network.state_dict()
    for key in state.keys() | used.keys():
        ours = tuple(state[key].shape) if key in state else "nothing"
        theirs = tuple(used[key].shape) if key in used else "nothing"
        if ours != theirs:
            raise RunError(f"the {name}'s {key} does not fit: {theirs} where {ours} is expected")
    network.load_state_dict({k: v.float() / scales.get(k, 1.0) for k, v in used.items()})


def fitting_model(widths: Mapping[int, int], **fields: Any) -> ModelSpec:
    """The shape of networks with these feature maps by resolution (2: D's dense layer).

    RunError if they follow no fmap_base and fmap_max.
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
    """RunError if a setting of the checkpoint is one that progan's networks do not have."""
    for key, value in expected.items():
        if found.get(key, value) != value:
            raise RunError(
                f"{of} was trained with {key}={found[key]}, and progan's networks are as with "
                f"{key}={value}; that cannot be folded into the weights"
            )


def load_checkpoint(path: Path, allowed: Mapping[str, type] | None = None) -> dict[str, Any]:
    """A checkpoint that torch saved: tensors and plain values only; it never runs code.

    allowed: stand-ins, by full name, for classes whose objects are in the file.
    """
    known: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (stand_in, name) for name, stand_in in (allowed or {}).items()
    ]
    path.open("rb").close()
    try:
        with torch.serialization.safe_globals(known):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = _reason(str(error))
        raise RunError(f"{path} is no checkpoint of tensors, or damaged: {reason}") from error
    if not isinstance(loaded, dict):
        raise RunError(f"{path} holds a {type(loaded).__name__}, not a checkpoint's dictionary")
    return loaded


def _reason(message: str) -> str:
    """What is wrong, without torch's advice to load the file anyway."""
    named = re.search(r"GLOBAL ([\w.]+)", message)
    if named:
        return f"it names {named[1]}, which no checkpoint of tensors needs"
    if "weights_only" in message or not message.strip():
        return "torch.save writes no such file"
    return message.strip().splitlines()[0][:200]


def used(weight: Tensor, gain: float, fan_in: int, *, scaled: bool = True) -> Tensor:
    """A weight times gain / sqrt(fan_in), or, where no such scale is used, itself."""
    return weight * (gain / math.sqrt(fan_in)) if scaled else weight
