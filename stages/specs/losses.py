"""The adversarial losses that a configuration can ask for, and their parameters; no torch.

`objective.loss` is a name, or a map with `kind` and the loss's own keys. The formulas are in
`losses.py`.
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
    """The original game: binary cross-entropy, whose negative the generator minimises."""

    kind: Literal["minimax"]
    smoothing: Smoothing = 0.0
    """One-sided label smoothing: reals are to be called real with probability 1 - smoothing."""


class NonSaturating(Spec):
    """The original discriminator; the generator maximises the logarithm of being called real."""

    kind: Literal["nonsaturating"]
    smoothing: Smoothing = 0.0
    """One-sided label smoothing, as for minimax."""


class Lsgan(Spec):
    """Least squares: fakes to `a`, reals to `b`; the generator wants `c`."""

    kind: Literal["lsgan"]
    a: float = 0.0
    b: float = 1.0
    c: float = 1.0


class Hinge(Spec):
    """Hinge on either side of a margin of 1."""

    kind: Literal["hinge"]


class Relativistic(Spec):
    """Real more than fake (rgan: in pairs; ragan: than the other kind is on average)."""

    kind: Literal["rgan", "ragan"]
    base: Base = "nonsaturating"
    """The loss whose terms compare."""
    group: PositiveInt = 4
    """For ragan: consecutive samples over which averages are taken."""


class FGan(Spec):
    """The variational bound of an f-divergence."""

    kind: Literal["fgan"]
    divergence: Divergence
    saturating: bool = False
    """Whether the generator minimises the bound itself, or its better behaved substitute."""


class EnergyLoss(Spec):
    """Base of the losses of energies, which only a discriminator that reconstructs has."""

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
    """Energies, with a margin for fakes; for a discriminator that reconstructs."""

    kind: Literal["ebgan"]
    margin: PositiveFloat = 10.0


class Began(EnergyLoss):
    """Energies, balanced so that fakes' keep to a share of reals'; as for ebgan."""

    kind: Literal["began"]
    gamma: PositiveFloat = 0.5
    """The energy of fakes over that of reals which is held: low for likeness, high for variety."""
    lambda_k: PositiveFloat = 0.001
    """How fast the balance is adjusted, a step."""


AnyLoss = Wgan | Minimax | NonSaturating | Lsgan | Hinge | Relativistic | FGan | Ebgan | Began
LossSpec = Annotated[AnyLoss, Field(discriminator="kind"), BeforeValidator(named)]
