"""What holds a network within bounds: spectral normalisation, clipped weights."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn

from progan.stages.networks import spectral
from progan.stages.specs.penalties import NetworkName, Penalties, SpectralNorm, WeightClip

if TYPE_CHECKING:
    from progan.stages.engine.engine import Engine


def install(name: NetworkName, network: nn.Module, penalties: Penalties) -> None:
    """Make a network that was just drawn what the constraints want."""
    for each in penalties:
        if isinstance(each, SpectralNorm) and name in each.networks:
            spectral.normalise(network)


def weight_clip(engine: "Engine", spec: WeightClip) -> None:
    """w = clip(w, -bound, bound) for all parameters (Arjovsky et al. 2017, algorithm 1).

    Meant are the weights as they are used. Equalised ones are kept as w / scale, with a bound of
    its own for each layer.
    """
    bounds = {name: spec.bound for name, _ in engine.module.named_parameters()}
    for name, layer in spectral.layers(engine.module):
        bounds[f"{name}.weight"] = spec.bound / layer.scale
    engine.clip(bounds)


AFTER_UPDATE: dict[str, Callable[["Engine", Any], None]] = {"weight_clip": weight_clip}


def after_update(engine: "Engine", penalties: Penalties) -> None:
    """What follows each update of the discriminator."""
    for each in penalties:
        if each.kind in AFTER_UPDATE:
            AFTER_UPDATE[each.kind](engine, each)
