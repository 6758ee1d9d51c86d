"""The GPUs and the memory of this machine; without torch, whose import takes seconds."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

import psutil
import pynvml

T = TypeVar("T")

VISIBLE = "CUDA_VISIBLE_DEVICES"
GPU_NAME = re.compile("[0-9]+|(GPU|MIG)-.+")
"""An entry of VISIBLE; CUDA ignores what comes after one that names no GPU"""
CPUINFO = Path("/proc/cpuinfo")
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def count_gpus(env: Mapping[str, str] = {}) -> int:
    """Number of GPUs visible to processes: CUDA_VISIBLE_DEVICES, else the driver's count.

    env: variables that they get in addition to this process's.
    """
    visible = _visible(env)
    if visible is not None:
        return len(visible)
    with _driver() as is_available:
        return int(pynvml.nvmlDeviceGetCount()) if is_available else 0


def gpu_memory_bytes(env: Mapping[str, str] = {}) -> list[int]:
    """Memory of each visible GPU; an empty list if the driver does not know one by its name.

    env: as for count_gpus.
    """
    return _of_each_gpu(env, lambda gpu: int(pynvml.nvmlDeviceGetMemoryInfo(gpu).total))


def gpu_capabilities(env: Mapping[str, str] = {}) -> list[tuple[int, int]]:
    """CUDA compute capability of each visible GPU; else as gpu_memory_bytes."""
    return _of_each_gpu(env, lambda gpu: tuple(pynvml.nvmlDeviceGetCudaComputeCapability(gpu)))


def _of_each_gpu(env: Mapping[str, str], ask: Callable[[object], T]) -> list[T]:
    """The driver's answer for each visible GPU; an empty list if it cannot give one of them."""
    names = _visible(env)
    with _driver() as is_available:
        if not is_available:
            return []
        gpus = range(pynvml.nvmlDeviceGetCount()) if names is None else names
        try:
            return [ask(_handle(gpu)) for gpu in gpus]
        except pynvml.NVMLError:
            return []


def gpu_names(env: Mapping[str, str] = {}) -> list[str]:
    """Name of each visible GPU; else as gpu_memory_bytes."""
    return _of_each_gpu(env, lambda gpu: str(pynvml.nvmlDeviceGetName(gpu)))


def bf16_units() -> str | None:
    """The units with which this CPU is faster in bf16 than in fp32; None if it is not.

    AVX512_BF16 multiplies at twice fp32's rate on AMD's CPUs, but only at fp32's on Intel's, where
    converting between the two then costs more than is gained. Without such units torch converts
    every number. None is also the answer for what is not an x86 on Linux.
    """
    text = CPUINFO.read_text() if CPUINFO.exists() else ""
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    if "amx_bf16" in flags:
        return "AMX"
    return "AVX512_BF16" if "avx512_bf16" in flags and "AuthenticAMD" in text else None


def ram_bytes() -> int:
    """Memory of this machine, or of the container if that has less."""
    total = int(psutil.virtual_memory().total)
    for file in map(Path, CGROUP_LIMITS):
        try:
            total = min(total, int(file.read_text()))
        except (OSError, ValueError):  # no such control group, or "max"
            continue
    return total


def _visible(env: Mapping[str, str]) -> list[str] | None:
    """The entries of CUDA_VISIBLE_DEVICES: numbers or UUIDs. None if it is not set."""
    variable = (os.environ | env).get(VISIBLE)
    if variable is None:
        return None
    return list(takewhile(GPU_NAME.fullmatch, map(str.strip, variable.split(","))))


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
