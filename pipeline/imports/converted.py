"""Converted networks of other programs, and how they are written as a folder of progan's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from progan.datasets.errors import DataError
from progan.datasets.files import whole_folder
from progan.pipeline.errors import ConfigError
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.widths import width
from progan.stages.specs.model import LAST_RESOLUTION, ModelSpec
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
        with torch.device("meta"):  # no memory is taken for weights that the file does not have
            require_fit(name, kinds[name](converted.model, converted.resolution), weights)
        networks[name] = kinds[name](converted.model, converted.resolution)
        load_scaled(networks[name], weights)
    final = Final(
        resolution=converted.resolution,
        images_seen=0,
        model=converted.model,
        seed=0,
        data_fingerprint=f"imported from {source_sha256}",
    )
    with whole_folder(out) as folder:
        publish(folder, final, networks)


def require_fit(name: str, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """DataError unless names and shapes are exactly the network's."""
    state = network.state_dict()
    for key in sorted(state.keys() | weights.keys()):
        ours = tuple(state[key].shape) if key in state else "nothing"
        theirs = tuple(weights[key].shape) if key in weights else "nothing"
        if ours != theirs:
            raise DataError(f"the {name}'s {key} does not fit: {theirs} where {ours} is expected")


def load_scaled(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights with run-time scales multiplied in into layers that apply these scales."""
    scales = {f"{path}.weight": m.scale for path, m in network.named_modules()
              if hasattr(m, "scale")}  # fmt: skip
    network.load_state_dict({k: v / scales.get(k, 1.0) for k, v in weights.items()})


def fitting_model(widths: Mapping[int, int], **fields: Any) -> ModelSpec:
    """The model with these feature maps by resolution (2: the discriminator's dense layer).

    DataError if no fmap_base and fmap_max give these feature maps.
    """
    if max(widths) > LAST_RESOLUTION:
        raise DataError(f"it has layers for {max(widths)}, and progan's networks end at 1024")
    maximum = max(widths.values())
    base = max(math.ceil(maps * resolution / 2) for resolution, maps in widths.items())
    try:
        model = ModelSpec(fmap_base=base, fmap_max=maximum, **fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"progan has no such networks: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from error
    if any(width(model, resolution) != maps for resolution, maps in widths.items()):
        raise DataError(
            f"feature maps {dict(sorted(widths.items()))} do not follow "
            "min(2 fmap_base / resolution, fmap_max), as progan's do"
        )
    return model


def require(found: Mapping[str, Any], expected: Mapping[str, Any], of: str) -> None:
    """DataError if a setting of the checkpoint differs from the expected one.

    Settings that are missing are taken to be as expected.
    """
    for key, value in expected.items():
        given = found.get(key, value)
        if not isinstance(given, str | int | float | None) or given != value:
            raise DataError(
                f"{of} was trained with {key}={describe(given)}, and progan's networks are as with "
                f"{key}={value}; that cannot be folded into the weights"
            )


def number(found: Mapping[str, Any], key: str, default: float, of: str) -> float:
    """A setting that is a finite number; DataError for another value."""
    value = found.get(key, default)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{of}'s {key} is {describe(value)}, not a number")
    return value


def mapping(value: Any, of: str) -> Mapping[str, Any]:
    """DataError unless the value is a dictionary."""
    if not isinstance(value, dict):
        raise DataError(f"{of} is {describe(value)}, not a dictionary")
    return value


def weight(value: Any, name: str, dimensions: int) -> Tensor:
    """A weight as float32; DataError unless it is a tensor of finite numbers of that rank."""
    if not isinstance(value, Tensor):
        raise DataError(f"{name} is {describe(value)}, not a tensor")
    shape = tuple(value.shape)
    if not value.is_floating_point() or len(shape) != dimensions:
        expected = f"floating-point numbers in {dimensions} dimensions"
        raise DataError(f"{name} is {value.dtype} {shape}, where {expected} are expected")
    if not 0 < value.nbytes <= value.untyped_storage().nbytes():
        raise DataError(f"{name} has the shape {shape}, and the file does not hold as many numbers")
    numbers = value.float()
    if not numbers.isfinite().all():
        raise DataError(f"{name} holds NaN, or numbers that are too large")
    return numbers


def describe(value: Any) -> str:
    """A value of a checkpoint, for a message: short, whatever it is."""
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, int) and abs(value) >= 10**12:
        return "a number of many digits"
    return repr(value) if isinstance(value, int | float | None) else f"a {type(value).__name__}"


def require_grown_to(size: int, resolution: int | None) -> None:
    """ConfigError if another resolution than the one the networks have grown to was requested."""
    if resolution is not None and resolution != size:
        raise ConfigError(f"--resolution {resolution}: these networks have grown to {size}")


def scale(weight: Tensor, gain: float, fan_in: int, *, scaled: bool = True) -> Tensor:
    """A weight times gain / sqrt(fan_in); unchanged if the program does not scale its weights."""
    return weight * (gain / math.sqrt(fan_in)) if scaled else weight
