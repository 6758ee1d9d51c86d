"""The GPUs and the memory of this machine; without torch, whose import takes seconds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pynvml

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def count_gpus() -> int:
    """Number of GPUs visible to processes: CUDA_VISIBLE_DEVICES, else the driver's count."""
    visible = _visible()
    if visible is not None:
        return len(visible)
    with _driver() as is_available:
        return int(pynvml.nvmlDeviceGetCount()) if is_available else 0


def gpu_memory_bytes() -> list[int]:
    """Memory of each visible GPU; an empty list if the driver does not know one by its name."""
    names = _visible()
    with _driver() as is_available:
        if not is_available:
            return []
        gpus = range(pynvml.nvmlDeviceGetCount()) if names is None else names
        try:
            return [int(pynvml.nvmlDeviceGetMemoryInfo(_handle(gpu)).total) for gpu in gpus]
        except pynvml.NVMLError:
            return []


def ram_bytes() -> int:
    """Memory of this machine, or of the container if that has less."""
    total = int(psutil.virtual_memory().total)
    for file in map(Path, CGROUP_LIMITS):
        try:
            total = min(total, int(file.read_text()))
        except (OSError, ValueError):  # no such control group, or "max"
            continue
    return total


def _visible() -> list[str] | None:
    """The entries of CUDA_VISIBLE_DEVICES: numbers or UUIDs. None if it is not set."""
    variable = os.environ.get("CUDA_VISIBLE_DEVICES")
    if variable is None:
        return None
    return [name for name in map(str.strip, variable.split(",")) if name not in ("", "-1")]


def _handle(gpu: int | str) -> object:
    if isinstance(gpu, int) or gpu.isdigit():
        return pynvml.nvmlDeviceGetHandleByIndex(int(gpu))
    return pynvml.nvmlDeviceGetHandleByUUID(gpu)


@contextmanager
def _driver() -> Iterator[bool]:
    """NVML, initialised; False where there is no driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield False
        return
    try:
        yield True
    finally:
        pynvml.nvmlShutdown()
