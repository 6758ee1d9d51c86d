"""starts.jsonl: every start of a stage's workers, with hosts and versions; no torch."""

import logging
import platform
from pathlib import Path

from progan.stages.specs.base import Spec
from progan.stages.storage.json_lines import append_line, read_lines

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
        append_line(path, start.model_dump(mode="json"))
    except OSError as error:
        log.warning("not written: %s; training goes on", error)


def read_starts(path: Path) -> list[Start]:
    """All starts of a stage, oldest first."""
    return read_lines(path, Start.model_validate)


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, from Linux; elsewhere its architecture."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
