"""The objective of either side: the sum of the terms that a configuration asks for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from progan.stages.engine.update import Objective
from progan.stages.objectives import discriminator_penalties as of_discriminator
from progan.stages.objectives import generator_penalties as of_generator
from progan.stages.objectives.adversarial import loss
from progan.stages.objectives.adversarial_term import (
    Adversarial,
    AuxiliaryLosses,
    BeganLoss,
    UnrolledValue,
)
from progan.stages.objectives.consensus import Consensus, GradientNorm
from progan.stages.objectives.constraints import SpectralNorm, WeightClip
from progan.stages.objectives.historical_average import HistoricalAveraging
from progan.stages.objectives.orthogonality import OrthogonalRegularization
from progan.stages.objectives.passes import DiscriminatorPass, GeneratorPass, Side
from progan.stages.objectives.term import Term
from progan.stages.specs.objective import ObjectiveSpec

CPU = torch.device("cpu")


def objective(
    terms: Sequence[Term], p: DiscriminatorPass | GeneratorPass, update: int
) -> Objective:
    """A side's loss on one micro-batch: the sum of its terms that are due, each averaged.

    update: how many the network has had, for terms that do not count in every one. A term that
    counts in every n-th weighs n times as much (lazy regularisation, StyleGAN2, section 3.1).
    """
    scalars = p.mean_logits
    total: Any = 0
    for term in terms:
        if update % term.interval:
            continue
        parts = term.discriminator(p) if isinstance(p, DiscriminatorPass) else term.generator(p)
        for name, values in parts.items():
            mean = values.mean()
            if not term.logged:
                scalars.setdefault(f"{p.side}_loss", total)
            total = total + term.weight * term.interval * mean
            if name:
                scalars[name] = mean
    scalars.setdefault(f"{p.side}_loss", total)
    return Objective(total, {name: value.detach() for name, value in scalars.items()})


TERMS: dict[str, Callable[[Any, Adversarial, Mapping[Side, nn.Module]], Term]] = {
    "gradient": lambda spec, *_: of_discriminator.GradientPenalty(spec),
    "drift": lambda spec, *_: of_discriminator.Drift(spec),
    "r1": lambda spec, *_: of_discriminator.R1(spec),
    "r2": lambda spec, *_: of_discriminator.R2(spec),
    "js_regularizer": lambda spec, *_: of_discriminator.JensenShannonRegularizer(spec),
    "dragan": lambda spec, *_: of_discriminator.Dragan(spec),
    "feature_matching": lambda spec, *_: of_generator.FeatureMatching(spec),
    "pulling_away": lambda spec, *_: of_generator.PullingAway(spec),
    "mode_regularizer": lambda spec, loss, _: of_generator.ModeRegularizer(spec, loss),
    "orthogonal": lambda spec, *_: OrthogonalRegularization(spec),
    "historical_average": lambda spec, _, networks: HistoricalAveraging(spec, networks),
    "consensus": lambda spec, loss, _: Consensus(spec, loss),
    "gradient_norm": lambda spec, loss, _: GradientNorm(spec, loss),
    "spectral_norm": lambda spec, *_: SpectralNorm(spec),
    "weight_clip": lambda spec, *_: WeightClip(spec),
}


def make_terms(
    spec: ObjectiveSpec, networks: Mapping[Side, nn.Module], device: torch.device = CPU
) -> list[Term]:
    """The terms that a configuration asks for, in its order; the adversarial loss comes first.

    networks: those that are trained, on `device`.
    """
    adversarial: Adversarial
    if spec.loss.kind == "began":
        adversarial = BeganLoss(spec, device)
    else:
        adversarial = Adversarial(loss(spec.loss), spec.critics)
    penalties = [TERMS[each.kind](each, adversarial, networks) for each in spec.penalties]
    needs_value = spec.unrolled and not adversarial.loss.generator_sees_reals
    unrolled = [UnrolledValue(adversarial)] if needs_value else []
    return [adversarial, AuxiliaryLosses(), *penalties, *unrolled]


def state(terms: Iterable[Term]) -> dict[str, Tensor]:
    """All that terms remember, by name."""
    return {name: value for term in terms for name, value in term.state().items()}


def restore(terms: Iterable[Term], stored: Mapping[str, Tensor]) -> None:
    """Set what `state` gave; a term that was added since begins anew."""
    for name, value in state(terms).items():
        if name in stored:
            value.copy_(stored[name])
