"""starts.jsonl: every start of a stage's workers, with hosts and versions; no torch."""

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
    """Name of each rank's GPU, or of the processor"""
    device_bytes: int | None
    """Memory of one GPU; None on a CPU"""
    cpus: int


class Start(Spec):
    """One line: when the workers started, at which count, on which hosts, with which versions."""

    time: float
    images_seen: int
    ranks: int
    hosts: tuple[Host, ...]
    versions: dict[str, str]


def append_start(path: Path, start: Start) -> None:
    """Add a line. Disk errors are logged, not raised."""
    try:
        with path.open("a") as file:
            file.write(start.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        log.warning("not written: %s; training goes on", error)


def read_starts(path: Path) -> list[Start]:
    """All starts of a stage, oldest first; lines truncated by a kill are left out."""
    if not path.exists():
        return []
    starts = []
    for line in path.read_text().splitlines():
        try:
            starts.append(Start.model_validate_json(line))
        except ValidationError:
            continue
    return starts
