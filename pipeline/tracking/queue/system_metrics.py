"""System metrics of the orchestrator's machine: processors, memory, disk, network, GPUs.

MLflow's monitors measure them; like everything that is tracked, they go to the run's folder first.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from progan.pipeline.tracking.queue.mlflow_import import import_mlflow
from progan.stages.storage.json_lines import append_line, read_numbered

EVERY_SECONDS = 10.0
LINES_PER_INTERVAL = 200
MAX_SECONDS = 600.0
LATEST = 1e11
"""Seconds since 1970; a later time in a file is an error"""


class MachineLog:
    """machine.jsonl: means over 10 s, later over longer intervals; 10,000 lines in a month."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = len(read_machine(path))
        self._monitors = _monitors()
        self._last_write = time.monotonic()

    def sample(self) -> None:
        """Take a sample; write a line if the interval is over."""
        for monitor in self._monitors:
            monitor.collect_metrics()
        interval = EVERY_SECONDS * (1 + self._lines // LINES_PER_INTERVAL)
        if time.monotonic() - self._last_write >= min(interval, MAX_SECONDS):
            self.write()

    def write(self) -> None:
        """Write a line with the means of the samples since the last one."""
        line: dict[str, Any] = {"time": time.time()}
        for monitor in self._monitors:
            line |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        append_line(self._path, line)
        self._lines += 1
        self._last_write = time.monotonic()


def read_machine(path: Path) -> dict[int, dict[str, float]]:
    """The lines of machine.jsonl by number, from 0."""
    return read_numbered(path, _figures)


def _figures(line: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line; raises as `read_numbered` expects for one that MLflow would refuse."""
    figures = {name: float(value) for name, value in line.items()}
    if not 0 <= figures["time"] < LATEST or len(figures) < 2:
        raise ValueError("no time, or nothing measured")
    return figures


def _monitors() -> list[Any]:
    """MLflow's monitors that work on this machine."""
    import_mlflow()
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    kinds: tuple[Callable[[], Any], ...] = (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor)
    monitors = []
    for kind in kinds:
        try:
            monitors.append(kind())
        except (ImportError, RuntimeError):
            continue  # no GPU
    return monitors
