"""What goes before each update of a network."""

from collections.abc import Iterable

import torch
from torch import Tensor

from progan.stages.engine.precision import autocast
from progan.stages.networks import spectral
from progan.stages.networks.layers import fade
from progan.stages.objectives import historical_average
from progan.stages.objectives.consensus import Networks, field
from progan.stages.specs.penalties import (
    Consensus,
    HistoricalAverage,
    NetworkName,
    SpectralNorm,
    terms,
)
from progan.stages.training.stage import Stage


def before_update(
    stage: Stage,
    name: NetworkName,
    update: int,
    alpha: float,
    parts: Iterable[tuple[Tensor, Tensor]],
) -> list[Tensor]:
    """One power iteration, a memory of the weights; the whole batch's field if a penalty needs it.

    parts: reals and latents of this rank's share, taken one by one. All ranks must call it.
    """
    networks: Networks = {"generator": stage.generator, "discriminator": stage.discriminator}
    penalties = stage.spec.objective.penalties
    if any(isinstance(each, SpectralNorm) and name in each.networks for each in penalties):
        spectral.iterate(networks[name])
    if any(isinstance(each, HistoricalAverage) and name in each.networks for each in penalties):
        historical_average.remember(name, networks[name], stage.pieces)
    if any(isinstance(each, Consensus) for each in terms(penalties, name, update)):
        return _mean_field(stage, networks, alpha, parts)
    return []


def _mean_field(
    stage: Stage, networks: Networks, alpha: float, parts: Iterable[tuple[Tensor, Tensor]]
) -> list[Tensor]:
    """v of consensus.py, averaged over the parts of all ranks."""
    spec, device = stage.spec, stage.world.device
    flat, count = torch.zeros((), device=device), 0
    for reals, latents in parts:
        with autocast(spec.engine, device.type):
            batch = fade(reals, alpha), latents, alpha
            found = field(networks, *batch, spec.objective.loss, stage.pieces, None)
        flat = flat + torch.cat([gradient.flatten() for gradient in found])
        count += 1
    flat = stage.world.all_reduce_mean(flat / count)
    weights = [parameter for network in networks.values() for parameter in network.parameters()]
    shares = torch.split(flat, [parameter.numel() for parameter in weights])
    return [share.reshape(p.shape) for share, p in zip(shares, weights, strict=True)]
