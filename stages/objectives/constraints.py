"""What holds a network within bounds: spectral normalisation, clipped weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from progan.stages.networks.weights import spectral
from progan.stages.networks.weights.weighted_layer import layers
from progan.stages.objectives.passes import Side
from progan.stages.objectives.term import Term
from progan.stages.specs import penalties as specs
from progan.stages.specs.penalties import Penalties

if TYPE_CHECKING:
    from progan.stages.engine.engine import Engine


def install(side: Side, network: nn.Module, penalties: Penalties) -> None:
    """Apply the constraints to a newly drawn network, before weights are loaded."""
    for each in penalties:
        if isinstance(each, specs.SpectralNorm) and side in each.networks:
            spectral.add_spectral_norm(network)


class SpectralNorm(Term):
    """W / sigma(W), sigma by one power iteration an update (Miyato et al. 2018, algorithm 1)."""

    def __init__(self, spec: specs.SpectralNorm) -> None:
        self.spec = spec

    def before_update(self, side: Side, network: nn.Module) -> None:
        """The power iteration."""
        if side in self.spec.networks:
            spectral.power_iteration(network)


class WeightClip(Term):
    """w = clip(w, -bound, bound) for all parameters (Arjovsky et al. 2017, algorithm 1).

    This means the weights as they are used. Equalised ones are kept as w / scale, with a bound of
    its own for each layer.
    """

    def __init__(self, spec: specs.WeightClip) -> None:
        self.spec = spec

    def after_update(self, side: Side, engine: Engine) -> None:
        """Clip the discriminator."""
        if side != "discriminator":
            return
        bounds = {name: self.spec.bound for name, _ in engine.module.named_parameters()}
        for name, layer in layers(engine.module):
            bounds[f"{name}.weight"] = self.spec.bound / layer.scale
        engine.clip(bounds)
