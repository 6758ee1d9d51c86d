"""Which GPUs this machine offers; without torch, whose import takes seconds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pynvml


def count_gpus() -> int:
    """GPUs that a process started now would see: CUDA_VISIBLE_DEVICES, else the driver's count."""
    visible = _visible()
    if visible is not None:
        return len(visible)
    with _driver() as there:
        return int(pynvml.nvmlDeviceGetCount()) if there else 0


def gpu_memory_bytes() -> list[int]:
    """Memory of each of these GPUs; none where the driver does not know them by that name."""
    names = _visible()
    with _driver() as there:
        if not there:
            return []
        found = range(pynvml.nvmlDeviceGetCount()) if names is None else names
        try:
            return [int(pynvml.nvmlDeviceGetMemoryInfo(_handle(gpu)).total) for gpu in found]
        except pynvml.NVMLError:
            return []


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
    """Whether there is a driver to ask."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield False
        return
    try:
        yield True
    finally:
        pynvml.nvmlShutdown()
