"""A command to run as one process per rank, and its state."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["waiting", "running", "ended"]
"""`waiting`: accepted by a scheduler and not started yet, or requeued by it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a backend starts."""

    name: str
    """Shown to users and by schedulers: letters, digits, dots and dashes"""
    argv: tuple[str, ...]
    """The command of every rank; its first word is an executable's path"""
    log: Path
    """File to which output is appended; a backend writes scripts into the same folder"""
    fits: Callable[[int], bool] = lambda ranks: True
    """Whether it can run on this number of ranks, for a backend that may use fewer machines"""
