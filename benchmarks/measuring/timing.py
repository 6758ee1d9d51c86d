"""Timing that other programs on the machine disturb little, and reference operations."""

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F

from progan.launch.environment import KEEP_MEMORY

Action = Callable[[], object]


def keep_memory() -> None:
    """Restart this program with the allocator settings that the launcher gives to CPU workers.

    glibc reads them when a process starts. Does nothing if they are set.
    """
    if any(name not in os.environ for name in KEEP_MEMORY):
        os.execve(sys.executable, [sys.executable, *sys.argv], KEEP_MEMORY | os.environ)


def clock(device: torch.device) -> Callable[[], float]:
    """A clock in seconds: this thread's processor time if it alone computes, else wall-clock time.

    Processor time depends less on what else runs on the machine.
    """
    if device.type == "cuda":

        def synchronised() -> float:
            torch.cuda.synchronize()
            return time.perf_counter()

        return synchronised
    return time.thread_time if torch.get_num_threads() == 1 else time.perf_counter


def time_child_processes(action: Action) -> tuple[float, float]:
    """(wall-clock seconds, processor seconds of the processes that `action` starts and awaits)."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    action()
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interleaved(
    actions: Mapping[str, Action], seconds: float, now: Callable[[], float], min_rounds: int = 3
) -> dict[str, list[float]]:
    """Time all actions in turn, round after round: the seconds of each, in the order of rounds.

    Each runs once before, unmeasured. Rounds end after `seconds` of wall-clock time, but not before
    `min_rounds`.
    """
    for action in actions.values():
        action()
    timings: dict[str, list[float]] = {name: [] for name in actions}
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < min_rounds or time.perf_counter() < end:
        for name, action in actions.items():
            start = now()
            action()
            timings[name].append(now() - start)
        rounds += 1
    return timings


def ratio(numerators: list[float], denominators: list[float]) -> float:
    """The median of the quotients of each round, since a disturbance mostly affects both."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def matrix_product(precision: str, device: torch.device, size: int = 2048) -> tuple[Action, int]:
    """A product of square matrices, and its FLOP."""
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}
    matrix = torch.randn(size, size, device=device, dtype=half.get(precision, torch.float32))
    return lambda: matrix @ matrix, 2 * size**3


def reference_convolution(device: torch.device) -> Action:
    """A plain 3x3 convolution with its gradients, independent of the project's code."""
    images = torch.randn(16, 128, 32, 32, device=device, requires_grad=True)
    kernel = torch.randn(128, 128, 3, 3, device=device, requires_grad=True)

    def convolve() -> None:
        images.grad = kernel.grad = None
        F.conv2d(images, kernel, padding=1).sum().backward()  # type: ignore[no-untyped-call]

    return convolve
