"""A command to run as one process per rank."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a backend is asked to start."""

    argv: tuple[str, ...]
    """The command of every rank; its first word is an executable's path"""
    log: Path
    """File that everything printed is added to"""
