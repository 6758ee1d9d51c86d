"""A command to run as one process per rank, and where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["waiting", "running", "ended"]
"""`waiting`: accepted by a scheduler, not started yet, or about to be started again by it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a backend is asked to start."""

    name: str
    """For people and schedulers: letters, digits, dots and dashes"""
    argv: tuple[str, ...]
    """The command of every rank; its first word is an executable's path"""
    log: Path
    """File that everything printed is added to; scripts that a backend writes lie beside it"""
    fits: Callable[[int], bool] = lambda ranks: True
    """Whether it can be run by so many ranks, for a backend that could do with fewer machines"""
