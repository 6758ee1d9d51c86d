"""Going back after a divergence, and past what led to it; no torch.

Reals and random numbers are pure functions of a position in the stage's stream of images. What lies
between the checkpoint gone back to and the end of the bad step is never used again: a stage that
starts from that checkpoint jumps over it. This is on the disk before the stage ends, so that
a kill changes nothing.
"""

from pathlib import Path

from pydantic import TypeAdapter

from progan.datasets.files import write_whole
from progan.stages.specs.base import Spec

EXIT_ROLLED_BACK = 76


class Rollback(Spec):
    """One time that a stage went back."""

    begin: int
    """Position of the checkpoint gone back to"""
    end: int
    """Position after the bad step"""
    reason: str


_LIST = TypeAdapter(list[Rollback])


def read_rollbacks(path: Path) -> list[Rollback]:
    """Those of a stage so far, oldest first."""
    return _LIST.validate_json(path.read_bytes()) if path.exists() else []


def add_rollback(path: Path, rollback: Rollback) -> None:
    """Write down one more, on the disk when this returns."""
    write_whole(path, _LIST.dump_json([*read_rollbacks(path), rollback], indent=2))


def past(position: int, rollbacks: list[Rollback]) -> int:
    """Where a stage goes on that would start at a position."""
    ends = [r.end for r in rollbacks if r.begin <= position < r.end]
    return past(max(ends), rollbacks) if ends else position
