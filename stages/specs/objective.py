"""What discriminator and generator minimise, as a configuration can ask for; no torch."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from progan.stages.specs.base import Spec
from progan.stages.specs.losses import LossSpec, Wgan
from progan.stages.specs.penalties import Drift, Gradient, PenaltySpec


class ReplaySpec(Spec):
    """Fakes that the discriminator is shown again, of generators that were."""

    size: PositiveInt
    """Fakes that are kept, at most: as many whole batches as that makes."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the discriminator's fakes that are past ones, on average."""

    def depth(self, batch: int) -> int:
        """Batches that are kept."""
        return self.size // batch


class ObjectiveSpec(Spec):
    """What discriminator and generator minimise."""

    loss: LossSpec = Wgan()
    penalties: tuple[PenaltySpec, ...] = (
        Gradient(kind="gradient", weight=10.0),
        Drift(kind="drift", weight=0.001),
    )
    critics: Literal["mean", "hardest"] = "mean"
    """Of several critics: whether the generator faces their mean, or for every picture the one that
    is hardest to deceive (GMAN)."""
    critic_steps: PositiveInt = 1
    """Discriminator updates per generator update, each on its own reals and latents."""
    unrolled: NonNegativeInt = 0
    """Steps of the discriminator that the generator's update looks ahead (Metz et al. 2017)."""
    replay: ReplaySpec | None = None
    """Past fakes among the discriminator's."""
