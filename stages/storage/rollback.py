"""Rolling back to a checkpoint after a divergence, and skipping the data that led to it; no torch.

Reals and random numbers are pure functions of a position in the stage's stream of images. What lies
between the checkpoint and the end of the diverging step is never used again: a stage that starts
from that checkpoint skips it. The rollback is on the disk before the stage ends, so a kill changes
nothing.
"""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from progan.datasets.files import write_whole
from progan.stages.errors import StageError
from progan.stages.specs.base import Spec, first_problem

EXIT_ROLLED_BACK = 76


class Rollback(Spec):
    """One rollback of a stage."""

    begin: int
    """Position of the checkpoint rolled back to"""
    end: int
    """Position after the diverging step"""
    reason: str


_LIST = TypeAdapter(list[Rollback])


def read_rollbacks(path: Path) -> list[Rollback]:
    """All rollbacks of a stage, oldest first; StageError if the file is damaged."""
    if not path.exists():
        return []
    try:
        return _LIST.validate_json(path.read_bytes())
    except ValidationError as error:
        raise StageError(
            f"{path} is damaged: {first_problem(error)}; it says which images are left out since a "
            "divergence: without it, which you may remove, they would be shown again"
        ) from error


def add_rollback(path: Path, rollback: Rollback) -> None:
    """Add one; it is on the disk when this returns."""
    write_whole(path, _LIST.dump_json([*read_rollbacks(path), rollback], indent=2))


def resume_position(position: int, rollbacks: list[Rollback]) -> int:
    """The position at which a stage starts that would start at `position`."""
    ends = [r.end for r in rollbacks if r.begin <= position < r.end]
    return resume_position(max(ends), rollbacks) if ends else position
