"""What the orchestrator's machine does meanwhile: processors, memory, disk, network, GPUs.

MLflow's monitors measure it; the lines go to the run's folder first, like everything that is sent.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from progan.datasets.files import write_whole
from progan.stages.storage.metrics_log import append_tick

EVERY_SECONDS = 10.0
LINES_AT_A_PACE = 200
MOST_SECONDS = 600.0


class MachineLog:
    """machine.jsonl: the means over 10 s, later over longer: a month makes 10,000 lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines(True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        write_whole(path, "".join(whole).encode())
        self._lines = len(whole)
        self._monitors = _monitors()
        self._written = time.monotonic()

    def look(self) -> None:
        """Take a sample; write a line if it is time."""
        for monitor in self._monitors:
            monitor.collect_metrics()
        pace = EVERY_SECONDS * (1 + self._lines // LINES_AT_A_PACE)
        if time.monotonic() - self._written >= min(pace, MOST_SECONDS):
            self.write()

    def write(self) -> None:
        """Write a line with the means since the last one."""
        line: dict[str, Any] = {"time": time.time()}
        for monitor in self._monitors:
            line |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        append_tick(self._path, line)
        self._lines += 1
        self._written = time.monotonic()


def _monitors() -> list[Any]:
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
            continue  # no GPU here
    return monitors
