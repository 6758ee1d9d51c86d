"""Timing that stands other programs on the same machine, and what the machine can do."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from progan.launch.environment import KEEP_MEMORY
from progan.stages.training.hosts import processor, versions

Action = Callable[[], object]


def keep_memory() -> None:
    """Start this program again with the environment that the launcher gives to workers on a CPU.

    glibc reads it when a process begins. Does nothing where it is there already.
    """
    if any(name not in os.environ for name in KEEP_MEMORY):
        os.execve(sys.executable, [sys.executable, *sys.argv], KEEP_MEMORY | os.environ)


def clock(device: torch.device) -> Callable[[], float]:
    """Seconds: of this thread's processor time if it alone computes, else by the clock.

    The processor's time depends less on what else runs on the machine.
    """
    if device.type == "cuda":

        def synchronised() -> float:
            torch.cuda.synchronize()
            return time.perf_counter()

        return synchronised
    return time.thread_time if torch.get_num_threads() == 1 else time.perf_counter


def interleaved(
    actions: Mapping[str, Action], seconds: float, now: Callable[[], float], least: int = 3
) -> dict[str, list[float]]:
    """Time all actions in turn, round after round: the seconds of each, in the order of rounds.

    Each is done once before, unmeasured. Rounds end after `seconds` by the clock, but there are
    `least` at least.
    """
    for action in actions.values():
        action()
    taken: dict[str, list[float]] = {name: [] for name in actions}
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < least or time.perf_counter() < end:
        for name, action in actions.items():
            began = now()
            action()
            taken[name].append(now() - began)
        rounds += 1
    return taken


def ratio(numerators: list[float], denominators: list[float]) -> float:
    """The median of the quotients of each round, in which both stood the same disturbance."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def product(precision: str, device: torch.device, size: int = 2048) -> tuple[Action, int]:
    """A product of square matrices, and how many FLOP it takes."""
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}
    matrix = torch.randn(size, size, device=device, dtype=half.get(precision, torch.float32))
    return lambda: matrix @ matrix, 2 * size**3


def reference_convolution(device: torch.device) -> Action:
    """A plain 3x3 convolution with its gradients, which no change of ours touches."""
    images = torch.randn(16, 128, 32, 32, device=device, requires_grad=True)
    kernel = torch.randn(128, 128, 3, 3, device=device, requires_grad=True)

    def convolve() -> None:
        images.grad = kernel.grad = None
        F.conv2d(images, kernel, padding=1).sum().backward()  # type: ignore[no-untyped-call]

    return convolve


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures were measured on."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "date": time.strftime("%Y-%m-%d"),
        "versions": versions(),
    }


def show(document: dict[str, Any], table: Callable[[dict[str, Any]], Table], as_json: bool) -> None:
    """A table for people, or one JSON document and nothing else."""
    if as_json:
        print(json.dumps(document, indent=1))
    else:
        Console(width=140).print(table(document))


def read_results(path: Path) -> dict[str, Any]:
    """What `--json` printed; ends the program with a line if that is not there."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"{path} holds no results: {error}")
    return found
