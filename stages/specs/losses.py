"""The adversarial losses that a configuration can ask for, and their parameters; no torch.

`objective.loss` is a name, or a map with `kind` and the loss's own keys. The formulas are in
objectives/adversarial.py.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt

from progan.stages.specs.base import Spec, named

if TYPE_CHECKING:
    from progan.stages.specs.stage import StageSpec

Smoothing = Annotated[float, Field(ge=0, lt=1)]
Divergence = Literal[
    "kl",
    "reverse_kl",
    "pearson",
    "neyman",
    "squared_hellinger",
    "jensen_shannon",
    "total_variation",
]
Base = Literal["wgan", "nonsaturating", "lsgan", "hinge"]


class Wgan(Spec):
    """Earth mover's distance; its critic needs a constraint (a penalty or clipped weights)."""

    kind: Literal["wgan"] = "wgan"


class Minimax(Spec):
    """The original minimax game: binary cross-entropy, whose negative the generator minimises."""

    kind: Literal["minimax"]
    smoothing: Smoothing = 0.0
    """One-sided label smoothing: the target of reals is 1 - smoothing."""


class NonSaturating(Spec):
    """The original discriminator loss; the generator maximises log D(fake)."""

    kind: Literal["nonsaturating"]
    smoothing: Smoothing = 0.0
    """One-sided label smoothing, as for minimax."""


class Lsgan(Spec):
    """Least squares: targets `a` for fakes, `b` for reals, `c` for the generator's fakes."""

    kind: Literal["lsgan"]
    a: float = 0.0
    """The discriminator's target for fakes."""
    b: float = 1.0
    """The discriminator's target for reals."""
    c: float = 1.0
    """The generator's target for its fakes."""


class Hinge(Spec):
    """Hinge loss with a margin of 1 on both sides."""

    kind: Literal["hinge"]


class Relativistic(Spec):
    """Relativistic: a real's logit against a fake's (rgan) or the fakes' mean (ragan)."""

    kind: Literal["rgan", "ragan"]
    base: Base = "nonsaturating"
    """The loss that is applied to the differences of logits."""
    group: PositiveInt = 4
    """For ragan: consecutive samples over which averages are taken."""


class FGan(Spec):
    """The variational bound of an f-divergence."""

    kind: Literal["fgan"]
    divergence: Divergence
    """The f-divergence between the distributions of reals and fakes."""
    saturating: bool = False
    """Whether the generator minimises the bound itself, or its non-saturating substitute."""


class EnergyLoss(Spec):
    """Base of losses of energies, which need an autoencoder as discriminator."""

    def conflicts(self, stage: "StageSpec") -> str | None:
        """Energies are reconstruction errors."""
        loss, head = stage.objective.loss.kind, stage.model.discriminator.head.kind
        if head != "autoencoder":
            return (
                f"objective.loss: {loss} is a game of energies, which a discriminator with head "
                f"{head} does not have; set model.discriminator.head=autoencoder"
            )
        return None


class Ebgan(EnergyLoss):
    """Energies, with a margin for fakes; needs an autoencoder as discriminator."""

    kind: Literal["ebgan"]
    margin: PositiveFloat = 10.0
    """Energy of a fake above which the discriminator gains nothing."""


class Began(EnergyLoss):
    """Energies, balanced to a fixed ratio of fakes' to reals'; needs an autoencoder, as ebgan."""

    kind: Literal["began"]
    gamma: PositiveFloat = 0.5
    """Target ratio of the fakes' energy to the reals': low for quality, high for diversity."""
    lambda_k: PositiveFloat = 0.001
    """Step size of the balance k."""


AnyLoss = Wgan | Minimax | NonSaturating | Lsgan | Hinge | Relativistic | FGan | Ebgan | Began
LossSpec = Annotated[AnyLoss, Field(discriminator="kind"), BeforeValidator(named)]
