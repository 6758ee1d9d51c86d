"""progan-worker whose discriminator loss is NaN on rank 1 at POISONED_POSITION of the stream."""

import os
from collections.abc import Sequence

from progan.stages import worker
from progan.stages.engine.update import Objective
from progan.stages.objectives.objective import objective as finite_objective
from progan.stages.objectives.passes import DiscriminatorPass, GeneratorPass
from progan.stages.objectives.term import Term
from progan.stages.training import loop

POISONED_UPDATE = int(os.environ["POISONED_POSITION"]) // 16


def poisoned(terms: Sequence[Term], p: DiscriminatorPass | GeneratorPass, update: int) -> Objective:
    """The discriminator's objective; NaN at that position."""
    objective = finite_objective(terms, p, update)
    if p.side == "generator" or os.environ["RANK"] != "1" or update != POISONED_UPDATE:
        return objective
    nan = float("nan")
    return Objective(
        objective.loss * nan, {name: value * nan for name, value in objective.scalars.items()}
    )


if __name__ == "__main__":
    loop.objective = poisoned  # type: ignore[attr-defined]
    worker.main()
