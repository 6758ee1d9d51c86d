"""progan-worker whose discriminator loss is NaN on rank 1 at POISONED_POSITION of the stream."""

import os

from progan.stages import worker
from progan.stages.engine.update import Objective
from progan.stages.training import loop
from progan.stages.training.stage import Stage

POISONED = int(os.environ["POISONED_POSITION"])
tell_apart = loop.tell_apart


def poisoned(stage: Stage, *arguments: object) -> Objective:
    """The discriminator's objective; NaN at that position."""
    objective = tell_apart(stage, *arguments)  # type: ignore[arg-type]
    if stage.world.rank != 1 or stage.position != POISONED:
        return objective
    nan = float("nan")
    return Objective(
        objective.loss * nan, {name: value * nan for name, value in objective.scalars.items()}
    )


if __name__ == "__main__":
    loop.tell_apart = poisoned  # type: ignore[assignment]
    worker.main()
