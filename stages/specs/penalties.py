"""The penalties and constraints that a configuration can ask for; no torch.

`objective.penalties` is a list of maps, each with `kind` and the kind's own keys. A penalty is a
term of a loss and has a `weight` and an `interval`; a constraint is no term of a loss and has
neither. The formulas are in stages/objectives/.
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from progan.stages.specs.base import Spec
from progan.stages.specs.by_resolution import DEFAULT, ByResolution

if TYPE_CHECKING:
    from progan.stages.specs.stage import StageSpec

NetworkName = Literal["generator", "discriminator"]
NetworkNames = Annotated[tuple[NetworkName, ...], Field(min_length=1)]
DIFFERENTIATED_TWICE = (
    "engine.compile: {} differentiates whole passes twice, which compiled code cannot be; set "
    "engine.compile=off"
)


class Penalty(Spec):
    """What all terms have."""

    weight: ByResolution[PositiveFloat] | PositiveFloat
    """For all stages, or by resolution: `{default: 0.1, 128: 0.3}`."""
    interval: PositiveInt = 1
    """Updates of its network from one to the next; it weighs so many times more then (the lazy
    regularisation of StyleGAN2, arXiv 1912.04958, section 3.1)."""
    needs_noise: ClassVar[bool] = False
    """Whether it looks at reals with noise on them"""
    needs_reals: ClassVar[bool] = False
    """Whether it makes the generator's loss look at reals"""
    needs_encoder: ClassVar[bool] = False
    """Whether an encoder is trained along with the generator"""
    uses_weights: ClassVar[bool] = False
    """Whether it depends on the weights themselves, not only on what the network computes"""
    input_gradient: ClassVar[bool] = False
    """Whether it is a gradient penalty: differentiates the discriminator by single pictures"""

    @field_validator("weight")
    @classmethod
    def _number_for_all_stages(
        cls, weight: ByResolution[PositiveFloat] | PositiveFloat
    ) -> ByResolution[PositiveFloat] | PositiveFloat:
        if isinstance(weight, ByResolution) and weight.root.keys() == {DEFAULT}:
            return weight.root[DEFAULT]
        return weight

    def at(self, resolution: int) -> Self:
        """The penalty of one stage, whose weight is a number."""
        if not isinstance(self.weight, ByResolution):
            return self
        return self.model_copy(update={"weight": self.weight.at(resolution)})


class CriticPenalty(Penalty):
    """A term of the discriminator's loss alone."""

    networks: ClassVar[tuple[NetworkName, ...]] = ("discriminator",)


class Gradient(CriticPenalty):
    """WGAN-GP: gradients of norm `target` between real and fake pictures."""

    kind: Literal["gradient"]
    target: PositiveFloat = 1.0
    """Norm of a gradient that costs nothing."""
    one_sided: bool = False
    """Whether only norms above the target cost anything."""
    input_gradient: ClassVar[bool] = True


class Drift(CriticPenalty):
    """Keeps the logits of real pictures near 0."""

    kind: Literal["drift"]


class ZeroCentred(CriticPenalty):
    """Small gradients at real pictures (r1) or at fakes (r2)."""

    kind: Literal["r1", "r2"]
    input_gradient: ClassVar[bool] = True


class JensenShannon(CriticPenalty):
    """Small gradients where the discriminator is wrong, as added noise would have it."""

    kind: Literal["js_regularizer"]
    input_gradient: ClassVar[bool] = True


class Dragan(CriticPenalty):
    """Gradients of norm `target` around real pictures."""

    kind: Literal["dragan"]
    target: PositiveFloat = 1.0
    """Norm of a gradient that costs nothing."""
    noise: PositiveFloat = 0.5
    """Standard deviation of the noise on a picture, in those of its own values."""
    needs_noise: ClassVar[bool] = True
    input_gradient: ClassVar[bool] = True


class WeightsPenalty(Penalty):
    """A term of a network's weights, in the loss of either or both."""

    networks: NetworkNames = ("discriminator",)
    """Whose weights."""
    uses_weights: ClassVar[bool] = True


class Orthogonal(WeightsPenalty):
    """Filters of a layer at right angles to each other."""

    kind: Literal["orthogonal"]
    off_diagonal: bool = True
    """Whether only their angles count (BigGAN), or that they have unit length too."""


class HistoricalAverage(WeightsPenalty):
    """Weights near the mean of all that they were in this stage."""

    kind: Literal["historical_average"]


class FeatureMatching(Penalty):
    """Fakes with the same features on average as reals, in the discriminator's eyes."""

    kind: Literal["feature_matching"]
    group: Annotated[int, Field(ge=2)] = 4
    """Consecutive samples whose pairs give an estimate: the more, the less noise."""
    networks: ClassVar[tuple[NetworkName, ...]] = ("generator",)
    needs_reals: ClassVar[bool] = True


class Consensus(Penalty):
    """Small gradients of both losses, for both networks: where they neither win nor circle."""

    kind: Literal["consensus"]
    networks: ClassVar[tuple[NetworkName, ...]] = ("generator", "discriminator")
    needs_reals: ClassVar[bool] = True
    uses_weights: ClassVar[bool] = True

    def conflicts(self, stage: "StageSpec") -> str | None:
        """The joint gradient is that of all weights of two networks, differentiated twice."""
        if stage.model.discriminator.critics > 1:
            return (
                "objective.penalties: consensus is between two networks; leave it out, or set "
                "model.discriminator.critics=1"
            )
        if stage.engine.activation_checkpointing is not None:
            return (
                "objective.penalties: consensus works on copies of one network's weights, of which "
                "recomputed blocks know nothing; leave out engine.activation_checkpointing"
            )
        if stage.growth.mode == "stacked":
            return (
                "growth.mode: stacked keeps some weights as they are, and consensus is between all "
                "weights of both networks; leave out one of them"
            )
        return DIFFERENTIATED_TWICE.format("consensus") if stage.compile != "off" else None


class GradientNorm(Penalty):
    """Fakes at which the discriminator has nothing to learn: its weights' gradient is small."""

    kind: Literal["gradient_norm"]
    networks: ClassVar[tuple[NetworkName, ...]] = ("generator",)
    needs_reals: ClassVar[bool] = True
    uses_weights: ClassVar[bool] = True

    def conflicts(self, stage: "StageSpec") -> str | None:
        """The gradient is that of all weights of one discriminator, differentiated once more."""
        if stage.model.discriminator.critics > 1:
            return (
                "objective.penalties: gradient_norm is about the weights of one discriminator; "
                "leave it out, or set model.discriminator.critics=1"
            )
        if stage.engine.activation_checkpointing is not None:
            return (
                "objective.penalties: gradient_norm works on a copy of the discriminator's "
                "weights, of which recomputed blocks know nothing; leave out "
                "engine.activation_checkpointing"
            )
        return DIFFERENTIATED_TWICE.format("gradient_norm") if stage.compile != "off" else None


class PullingAway(Penalty):
    """Fakes whose features point in different directions."""

    kind: Literal["pulling_away"]
    group: Annotated[int, Field(ge=2)] = 4
    """Consecutive samples that are compared with each other."""
    networks: ClassVar[tuple[NetworkName, ...]] = ("generator",)


class ModeRegularizer(Penalty):
    """Every real picture is one that the generator can draw, and draws well enough to deceive."""

    kind: Literal["mode_regularizer"]
    weight: PositiveFloat = 1.0
    """Factor of both terms."""
    lambda_1: NonNegativeFloat = 0.2
    """Weight of the distance between a real and its reconstruction."""
    lambda_2: NonNegativeFloat = 0.4
    """Weight of the reconstruction's adversarial loss."""
    distance: Literal["pixels", "features"] = "pixels"
    """Between the values of pictures, or what the discriminator's last layer sees of them."""
    networks: ClassVar[tuple[NetworkName, ...]] = ("generator",)
    needs_reals: ClassVar[bool] = True
    needs_encoder: ClassVar[bool] = True

    def conflicts(self, stage: "StageSpec") -> str | None:
        """The encoder gives a latent for a real picture, not its codes."""
        if stage.model.generator.codes.count:
            return (
                "objective.penalties: mode_regularizer has the generator draw real pictures again, "
                "whose codes nobody knows; leave it out, or model.generator.codes"
            )
        if stage.model.generators > 1:
            return (
                "objective.penalties: mode_regularizer has one generator draw real pictures again; "
                "leave it out, or set model.generators=1"
            )
        return None


class Constraint(Spec):
    """What holds at every step."""

    uses_weights: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _is_no_term(cls, values: Any) -> Any:
        if isinstance(values, dict) and (odd := {"weight", "interval"} & values.keys()):
            raise ValueError(f"is a constraint, which holds always: it has no {min(odd)}")
        return values


class SpectralNorm(Constraint):
    """Weights are divided by their largest singular value."""

    kind: Literal["spectral_norm"]
    networks: NetworkNames = ("discriminator",)
    """Whose weights."""

    def conflicts(self, stage: "StageSpec") -> str | None:
        """The normalisation undoes clipping."""
        clipped = any(isinstance(each, WeightClip) for each in stage.objective.penalties)
        if clipped and "discriminator" in self.networks:
            return (
                "objective.penalties: weight_clip and spectral_norm both bound the discriminator's "
                "weights, and divided by their largest singular value clipped ones are what they "
                "were; take one of them"
            )
        return None


class WeightClip(Constraint):
    """The discriminator's weights are cut off at `bound` after each of its updates."""

    kind: Literal["weight_clip"]
    bound: PositiveFloat = 0.01
    """Of the weights as they are used: scaled, where the learning rate is equalised."""


Term = (
    Gradient
    | Drift
    | ZeroCentred
    | JensenShannon
    | Dragan
    | Orthogonal
    | HistoricalAverage
    | FeatureMatching
    | PullingAway
    | ModeRegularizer
    | Consensus
    | GradientNorm
)
AnyPenalty = Term | SpectralNorm | WeightClip
Penalties = tuple[AnyPenalty, ...]
PenaltySpec = Annotated[AnyPenalty, Field(discriminator="kind")]


def has_encoder(penalties: Penalties) -> bool:
    """Whether any needs an encoder trained with the generator."""
    return any(isinstance(each, Penalty) and each.needs_encoder for each in penalties)


def noise_shape(penalties: Penalties, picture: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the noise that an image needs: its own, or (0,) if no penalty adds noise."""
    needed = any(isinstance(each, Penalty) and each.needs_noise for each in penalties)
    return picture if needed else (0,)
