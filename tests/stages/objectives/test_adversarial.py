"""Every adversarial loss against its formula in NumPy, in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from progan.stages.objectives.adversarial import DIVERGENCES, loss
from progan.stages.specs.losses import LossSpec

Array = Any
RANDOM = np.random.default_rng(1)
REAL, FAKE = RANDOM.normal(0.3, 1.5, 12), RANDOM.normal(-0.4, 1.5, 12)


def chance(logit: Array) -> Array:
    """D(x), the probability of being real."""
    return 1 / (1 + np.exp(-logit))


def means(values: Array, group: int) -> Array:
    return np.concatenate([np.full(group, part.mean()) for part in np.split(values, 12 // group)])


def ragan_square(real: Array, fake: Array) -> Array:
    return (real - means(fake, 4) - 1) ** 2 + (fake - means(real, 4) + 1) ** 2


def cross_entropy(real: Array, fake: Array, label: float = 1.0) -> Array:
    of_reals = label * np.log(chance(real)) + (1 - label) * np.log(1 - chance(real))
    return -of_reals - np.log(1 - chance(fake))


def f_gan(activation: Callable[[Array], Array], conjugate: Callable[[Array], Array]) -> Any:
    """Both sides, and the generator's that saturates, from table 6 as printed."""
    return (
        lambda r, f: conjugate(activation(f)) - activation(r),
        lambda r, f: -activation(f),
        lambda r, f: -conjugate(activation(f)),
    )


F_GAN = {
    "kl": f_gan(lambda v: v, lambda t: np.exp(t - 1)),
    "reverse_kl": f_gan(lambda v: -np.exp(-v), lambda t: -1 - np.log(-t)),
    "pearson": f_gan(lambda v: v, lambda t: t**2 / 4 + t),
    "neyman": f_gan(lambda v: 1 - np.exp(-v), lambda t: 2 - 2 * np.sqrt(1 - t)),
    "squared_hellinger": f_gan(lambda v: 1 - np.exp(-v), lambda t: t / (1 - t)),
    "jensen_shannon": f_gan(
        lambda v: np.log(2) - np.log(1 + np.exp(-v)), lambda t: -np.log(2 - np.exp(t))
    ),
    "total_variation": f_gan(lambda v: np.tanh(v) / 2, lambda t: t),
}

CASES: list[tuple[Any, Any, Any]] = [
    ("wgan", lambda r, f: f - r, lambda r, f: -f),
    ("minimax", cross_entropy, lambda r, f: np.log(1 - chance(f))),
    ("nonsaturating", cross_entropy, lambda r, f: -np.log(chance(f))),
    (
        {"kind": "nonsaturating", "smoothing": 0.1},
        lambda r, f: cross_entropy(r, f, label=0.9),
        lambda r, f: -np.log(chance(f)),
    ),
    ("lsgan", lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda r, f: (f - 1) ** 2 / 2),
    (
        {"kind": "lsgan", "a": -1, "b": 2, "c": 0.5},
        lambda r, f: ((r - 2) ** 2 + (f + 1) ** 2) / 2,
        lambda r, f: (f - 0.5) ** 2 / 2,
    ),
    ("hinge", lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f), lambda r, f: -f),
    ("rgan", lambda r, f: -np.log(chance(r - f)), lambda r, f: -np.log(chance(f - r))),
    (
        {"kind": "ragan", "base": "lsgan"},
        ragan_square,
        lambda r, f: ragan_square(f, r),
    ),
    ({"kind": "ebgan", "margin": 2}, lambda r, f: -r + np.maximum(0, 2 + f), lambda r, f: -f),
    *[({"kind": "fgan", "divergence": name}, row[0], row[1]) for name, row in F_GAN.items()],
    *[
        ({"kind": "fgan", "divergence": name, "saturating": True}, row[0], row[2])
        for name, row in F_GAN.items()
    ],
]


@pytest.mark.parametrize(
    ("config", "discriminator", "generator"), CASES, ids=[str(case[0]) for case in CASES]
)
def test_a_loss_is_its_formula(config: Any, discriminator: Any, generator: Any) -> None:
    chosen = loss(TypeAdapter(LossSpec).validate_python(config))
    real, fake = torch.from_numpy(REAL), torch.from_numpy(FAKE)
    np.testing.assert_allclose(chosen.discriminator(real, fake), discriminator(REAL, FAKE), 1e-12)
    seen = real if chosen.generator_sees_reals else real[:0]
    np.testing.assert_allclose(chosen.generator(seen, fake), generator(REAL, FAKE), 1e-12)


F = {
    "kl": lambda u: u * np.log(u),
    "reverse_kl": lambda u: -np.log(u),
    "pearson": lambda u: (u - 1) ** 2,
    "neyman": lambda u: (1 - u) ** 2 / u,
    "squared_hellinger": lambda u: (np.sqrt(u) - 1) ** 2,
    "jensen_shannon": lambda u: -(u + 1) * np.log((1 + u) / 2) + u * np.log(u),
    "total_variation": lambda u: np.abs(u - 1) / 2,
}
"""The generating functions (Nowozin et al. 2016, table 1)"""


@pytest.mark.parametrize("name", F)
def test_the_best_discriminator_of_two_coins_finds_their_divergence(name: str) -> None:
    """sup over v of p g(v) - q f*(g(v)), summed over the sides, is the sum of q f(p / q)."""
    p, q = np.array([0.7, 0.3]), np.array([0.4, 0.6])
    logits = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    chosen = DIVERGENCES[name]
    bounds = [a * chosen.activation(logits) - b * chosen.conjugate(logits)
              for a, b in zip(p, q, strict=True)]  # fmt: skip
    found = sum(float(bound.max()) for bound in bounds)
    assert found == pytest.approx((q * F[name](p / q)).sum(), rel=1e-4)


def test_averages_of_a_relativistic_loss_stay_within_groups() -> None:
    """So that the loss does not depend on how a batch was cut over ranks."""
    chosen = loss(TypeAdapter(LossSpec).validate_python("ragan"))
    real, fake = torch.from_numpy(REAL), torch.from_numpy(FAKE)
    parts = [chosen.discriminator(real[i : i + 4], fake[i : i + 4]) for i in (0, 4, 8)]
    torch.testing.assert_close(chosen.discriminator(real, fake), torch.cat(parts))
