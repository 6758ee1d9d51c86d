"""Update rules that a configuration can ask for, and their parameters; no torch."""

from typing import Annotated

from pydantic import Field, PositiveInt

from progan.stages.specbase import Spec


class ReplaySpec(Spec):
    """Fakes that the discriminator is shown again, of generators that were."""

    size: PositiveInt
    """Fakes that are kept, at most: as many whole batches as that makes."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the discriminator's fakes that are past ones, on average."""

    def depth(self, batch: int) -> int:
        """Batches that are kept."""
        return self.size // batch
