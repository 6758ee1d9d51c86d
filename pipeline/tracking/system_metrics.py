"""System metrics of the orchestrator's machine: processors, memory, disk, network, GPUs.

MLflow's monitors measure them; like everything that is tracked, they go to the run's folder first.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from progan.datasets.files import write_whole
from progan.stages.storage.metrics_log import append_tick

EVERY_SECONDS = 10.0
LINES_PER_INTERVAL = 200
MAX_SECONDS = 600.0
DAMAGE = ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError
"""What a line that is no object of numbers may raise"""
LATEST = 1e11
"""Seconds since 1970: no later time is one"""


class MachineLog:
    """machine.jsonl: means over 10 s, later over longer intervals; 10,000 lines in a month."""

    def __init__(self, path: Path) -> None:
        self._path = path
        complete = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        write_whole(path, b"".join(line + b"\n" for line in complete))
        self._lines = len(complete)
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
        append_tick(self._path, line)
        self._lines += 1
        self._last_write = time.monotonic()


def read_machine(path: Path) -> tuple[dict[int, dict[str, float]], set[int]]:
    """The lines of machine.jsonl by number, and the numbers of damaged ones, from 0.

    A last line that is being written is neither.
    """
    lines, damaged = dict[int, dict[str, float]](), set[int]()
    for number, text in enumerate(path.read_bytes().split(b"\n")[:-1]):
        try:
            line = {name: float(value) for name, value in json.loads(text).items()}
            if not 0 <= line["time"] < LATEST or len(line) < 2:
                raise ValueError
            lines[number] = line
        except DAMAGE:
            damaged.add(number)
    return lines, damaged


def _monitors() -> list[Any]:
    """MLflow's monitors that work on this machine."""
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
