"""The penalties on the discriminator that a configuration can ask for; no torch.

`objective.penalties` is a list of maps, each with `kind`, `weight` and the penalty's own keys. The
formulas are in `penalties.py`.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from progan.stages.specbase import Spec


class Penalty(Spec):
    """What all of them have."""

    weight: PositiveFloat
    interval: PositiveInt = 1
    """Discriminator updates from one to the next; it weighs so many times more then (the lazy
    regularisation of StyleGAN2, arXiv 1912.04958, section 3.1)."""


class Gradient(Penalty):
    """WGAN-GP: gradients of norm `target` between real and fake pictures."""

    kind: Literal["gradient"]
    target: PositiveFloat = 1.0
    one_sided: bool = False
    """Whether only norms above the target cost anything."""


class Drift(Penalty):
    """Keeps the logits of real pictures near 0."""

    kind: Literal["drift"]


class ZeroCentred(Penalty):
    """Small gradients at real pictures (r1) or at fakes (r2)."""

    kind: Literal["r1", "r2"]


class JensenShannon(Penalty):
    """Small gradients where the discriminator is wrong, as added noise would have it."""

    kind: Literal["js_regularizer"]


AnyPenalty = Gradient | Drift | ZeroCentred | JensenShannon
PenaltySpec = Annotated[AnyPenalty, Field(discriminator="kind")]
