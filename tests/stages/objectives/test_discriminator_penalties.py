"""Every penalty against its formula in NumPy, in float64, for a small critic; and its slope."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from objective_of import discriminator_penalty
from progan.stages.specs.penalties import PenaltySpec

Array = Any
RANDOM = np.random.default_rng(2)
REALS, FAKES = RANDOM.normal(size=(5, 12)), RANDOM.normal(size=(5, 12))
EPSILON = RANDOM.uniform(size=5)
NOISE = RANDOM.normal(size=(5, 12))
WEIGHTS, READOUT = RANDOM.normal(size=(7, 12)) / 2, RANDOM.normal(size=7)


def logits(x: Array, weights: Array) -> Array:
    """D(x) = <readout, tanh(weights x)>"""
    return np.tanh(x @ weights.T) @ READOUT


def slopes(x: Array, weights: Array) -> Array:
    """Its gradient with respect to x."""
    return ((1 - np.tanh(x @ weights.T) ** 2) * READOUT) @ weights


def norms(x: Array, weights: Array) -> Array:
    return np.linalg.norm(slopes(x, weights), axis=1)


def between(weights: Array) -> Array:
    return norms(REALS + EPSILON[:, None] * (FAKES - REALS), weights)


def chance(logit: Array) -> Array:
    return 1 / (1 + np.exp(-logit))


def noise_like(weights: Array) -> Array:
    real, fake = (chance(logits(x, weights)) for x in (REALS, FAKES))
    at_reals = (1 - real) ** 2 * norms(REALS, weights) ** 2
    return (at_reals + fake**2 * norms(FAKES, weights) ** 2) / 2


def around_reals(weights: Array) -> Array:
    return norms(REALS + 0.5 * REALS.std(axis=1, keepdims=True) * NOISE, weights)


CASES: list[tuple[dict[str, Any], Any]] = [
    ({"kind": "gradient"}, lambda w: (between(w) - 1) ** 2),
    ({"kind": "gradient", "target": 3}, lambda w: (between(w) - 3) ** 2 / 9),
    (
        {"kind": "gradient", "one_sided": True, "target": 1.5},
        lambda w: np.maximum(between(w) - 1.5, 0) ** 2 / 1.5**2,
    ),
    ({"kind": "drift"}, lambda w: logits(REALS, w) ** 2),
    ({"kind": "r1"}, lambda w: norms(REALS, w) ** 2 / 2),
    ({"kind": "r2"}, lambda w: norms(FAKES, w) ** 2 / 2),
    ({"kind": "js_regularizer"}, noise_like),
    ({"kind": "dragan"}, lambda w: (around_reals(w) - 1) ** 2),
    ({"kind": "dragan", "target": 0.3}, lambda w: (around_reals(w) - 0.3) ** 2),
]


@pytest.mark.parametrize(("config", "formula"), CASES, ids=[str(case[0]) for case in CASES])
def test_a_penalty_is_its_formula_and_has_its_slope(config: dict[str, Any], formula: Any) -> None:
    spec: Any = TypeAdapter(PenaltySpec).validate_python({"weight": 1} | config)
    weights = torch.tensor(WEIGHTS, requires_grad=True)
    readout = torch.tensor(READOUT)

    def critic(images: torch.Tensor) -> torch.Tensor:
        return torch.tanh(images.flatten(1) @ weights.T) @ readout

    reals, fakes, noise = (torch.tensor(x).reshape(5, 3, 2, 2) for x in (REALS, FAKES, NOISE))
    term = discriminator_penalty(
        spec,
        discriminate=critic,
        reals=reals,
        fakes=fakes,
        real_logits=critic(reals),
        epsilon=torch.tensor(EPSILON).reshape(-1, 1, 1, 1),
        noise=noise,
    )
    np.testing.assert_allclose(term.detach(), formula(WEIGHTS), 1e-12)

    (found,) = torch.autograd.grad(term.sum(), weights)
    direction = RANDOM.normal(size=WEIGHTS.shape)
    step = 1e-6 * direction
    slope = (formula(WEIGHTS + step) - formula(WEIGHTS - step)).sum() / 2e-6
    np.testing.assert_allclose((found.numpy() * direction).sum(), slope, 1e-6)
