"""The augmentations of what the discriminator sees that a configuration can ask for; no torch.

`augment` is null, a name, or a map with `kind` and the kind's own keys. The transformations are in
stages/objectives/augment/.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, field_validator

from progan.stages.specs.base import Spec, named
from progan.stages.specs.losses import AnyLoss, FGan, Hinge, Lsgan, Minimax, NonSaturating

if TYPE_CHECKING:
    from progan.stages.specs.stage import StageSpec

Policy = Literal["color", "translation", "cutout"]
Pipe = Literal["b", "g", "c", "bg", "bc", "gc", "bgc"]


class DiffAugmentSpec(Spec):
    """The same random transformations of every real and every fake, from the first step on.

    Source: Zhao et al. 2020 (arXiv 2006.10738), with the parameters of the authors' code.
    """

    kind: Literal["diffaugment"]
    policy: Annotated[tuple[Policy, ...], Field(min_length=1)] = ("color", "translation", "cutout")
    """Transformations, in the order in which they are applied. color: brightness, saturation,
    contrast; translation: by up to an eighth, filled with grey; cutout: a grey square of half the
    side."""

    @field_validator("policy")
    @classmethod
    def _each_once(cls, value: tuple[Policy, ...]) -> tuple[Policy, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a transformation twice")
        return value


class AdaSpec(Spec):
    """Transformations of probability p, which rises while the discriminator overfits.

    Source: Karras et al. 2020 (arXiv 2006.06676), section 3.2 and appendix B.
    """

    kind: Literal["ada"]
    target: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """The mean sign of D(real) that p is adapted to: 0 where the discriminator guesses, 1 where it
    is certain of all reals."""
    kimg: PositiveFloat = 500.0
    """Thousands of images in which p can rise from 0 to 1."""
    pipe: Pipe = "bgc"
    """b: pixel blits (flips, rotations by 90 degrees, integer translations); g: geometry (scales,
    rotations, fractional translations); c: color (brightness, contrast, luma flip, hue,
    saturation)."""
    interval: PositiveInt = 4
    """Steps from one adaptation of p to the next."""

    def conflicts(self, stage: "StageSpec") -> str | None:
        """p follows the sign of a logit, which must mean something."""
        kind = stage.objective.loss.kind
        if undecided(stage.objective.loss) is None:
            return (
                f"augment: ada follows the sign of D(real), and with objective.loss {kind} no "
                "value of D is the border between real and fake; set augment.kind=diffaugment, or "
                "a loss such as nonsaturating or hinge"
            )
        if stage.engine.deterministic and "g" in self.pipe:
            return (
                "augment.pipe: on GPUs the gradient of g, the geometry, has no algorithm that "
                "gives the same bytes at every repetition; set b, c or bc, or "
                "engine.deterministic=false"
            )
        return None


AnyAugment = DiffAugmentSpec | AdaSpec
AugmentSpec = Annotated[AnyAugment, Field(discriminator="kind"), BeforeValidator(named)]


def undecided(loss: AnyLoss) -> float | None:
    """The logit of a picture that the discriminator holds for neither real nor fake.

    None where only differences between logits count (wgan, rgan, ragan), and for energies.
    """
    if isinstance(loss, Minimax | NonSaturating | Hinge):
        return 0.0
    if isinstance(loss, Lsgan):
        return (loss.a + loss.b) / 2
    if isinstance(loss, FGan):  # where the activation is f'(1): Nowozin et al. 2016, table 6
        return 1.0 if loss.divergence == "kl" else 0.0
    return None
