"""starts.jsonl: every start of a stage's workers, and on what; no torch."""

import logging
import os
from pathlib import Path

from pydantic import ValidationError

from progan.stages.specs.base import Spec

log = logging.getLogger(__name__)


class Host(Spec):
    """One machine that takes part in a stage."""

    name: str
    ranks: int
    device: str
    """Of every rank: the GPU's name, or the processor's"""
    device_bytes: int | None
    """Memory of one GPU; none on a CPU"""
    cpus: int


class Start(Spec):
    """One line: when a stage's workers began, at which count, on which machines, with what."""

    time: float
    images_seen: int
    ranks: int
    hosts: tuple[Host, ...]
    versions: dict[str, str]


def append_start(path: Path, start: Start) -> None:
    """Add a line. A failure is no reason not to train."""
    try:
        with path.open("a") as file:
            file.write(start.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        log.warning("not written: %s; training goes on", error)


def read_starts(path: Path) -> list[Start]:
    """Those of a stage, oldest first; lines cut short by a kill are left out."""
    if not path.exists():
        return []
    starts = []
    for line in path.read_text().splitlines():
        try:
            starts.append(Start.model_validate_json(line))
        except ValidationError:
            continue
    return starts
