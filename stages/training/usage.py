"""Resource usage of a rank: waiting time, memory. Nothing here waits for a device."""

import time
from typing import Any

import psutil
import torch


class Stopwatch:
    """Adds up the seconds spent in `with` blocks."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *error: Any) -> None:
        self._seconds += time.monotonic() - self._began

    def take(self) -> float:
        """The seconds since the last call; resets them."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def memory(device: torch.device) -> dict[str, int]:
    """Memory of this rank in bytes, by name, as fields of a tick.

    On a GPU `device_memory_bytes`, the peak of allocated tensors since the last call; on the CPU
    `resident_memory_bytes`, the process's resident set size now.
    """
    if device.type != "cuda":
        return {"resident_memory_bytes": psutil.Process().memory_info().rss}
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return {"device_memory_bytes": peak}
