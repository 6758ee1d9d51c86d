"""What discriminator and generator minimise, as a configuration can ask for; no torch."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from progan.stages.specs.base import Spec
from progan.stages.specs.losses import LossSpec, Wgan
from progan.stages.specs.penalties import (
    DIFFERENTIATED_TWICE,
    Drift,
    Gradient,
    Penalty,
    PenaltySpec,
)

if TYPE_CHECKING:
    from progan.stages.specs.stage import StageSpec


class ReplaySpec(Spec):
    """Fakes that the discriminator is shown again, of generators that were."""

    size: PositiveInt
    """Fakes that are kept, at most: as many whole batches as that makes."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the discriminator's fakes that are past ones, on average."""

    def depth(self, batch: int) -> int:
        """Batches that are kept."""
        return self.size // batch

    def conflicts(self, stage: "StageSpec") -> str | None:
        """The buffer holds whole batches of pictures, without their labels or codes."""
        if stage.model.inputs != stage.model.latent:
            return (
                "objective.replay: past fakes do not keep the classes, codes or generators they "
                "were drawn from; leave out replay, or model.classes, model.generator.codes and "
                "model.generators"
            )
        if self.size < stage.batch:
            return (
                f"objective.replay.size: {self.size} is less than a batch of stage "
                f"{stage.resolution}; use at least {stage.batch} (batch.{stage.resolution})"
            )
        return None


class ObjectiveSpec(Spec):
    """What discriminator and generator minimise."""

    loss: LossSpec = Wgan()
    penalties: tuple[PenaltySpec, ...] = (
        Gradient(kind="gradient", weight=10.0),
        Drift(kind="drift", weight=0.001),
    )
    """Further terms of the networks' losses, and constraints on their weights."""
    critics: Literal["mean", "hardest"] = "mean"
    """Of several critics: whether the generator faces their mean, or for every picture the one that
    is hardest to deceive (GMAN)."""
    critic_steps: PositiveInt = 1
    """Discriminator updates per generator update, each on its own reals and latents."""
    unrolled: NonNegativeInt = 0
    """Steps of the discriminator that the generator's update looks ahead (Metz et al. 2017)."""
    replay: ReplaySpec | None = None
    """Past fakes among the discriminator's."""

    def at(self, resolution: int) -> "ObjectiveSpec":
        """The objective of one stage: weights by resolution become that stage's."""
        penalties = tuple(
            each.at(resolution) if isinstance(each, Penalty) else each for each in self.penalties
        )
        return self.model_copy(update={"penalties": penalties})

    def conflicts(self, stage: "StageSpec") -> str | None:
        """Unrolled steps follow the gradient of the loss at hypothetical weights."""
        if not self.unrolled:
            return None
        if weighted := sorted(each.kind for each in self.penalties if each.uses_weights):
            return (
                f"objective.unrolled: the steps ahead know nothing of {weighted[0]}, which looks "
                "at the discriminator's weights; leave out one of them"
            )
        if stage.compile != "off":
            return DIFFERENTIATED_TWICE.format("objective.unrolled")
        lowest = stage.engine.activation_checkpointing
        if lowest and lowest <= stage.resolution:
            return (
                "objective.unrolled: what engine.activation_checkpointing computes again would not "
                f"have the weights of the steps ahead (at {stage.resolution}); leave one of the "
                "two out"
            )
        return None
