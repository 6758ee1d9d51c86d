"""The time of a stage's step, measured by a few real steps on random pictures.

Run as a program, it answers each line of standard input, {"spec", "batches", "limit": seconds}, by
a line of standard output: what `measure` returns, or {"error"}, after which it ends. So the caller
loads no torch and survives a crash (pipeline/plan/times.py).
"""

import gc
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch

from progan.datasets.reals import Reals
from progan.stages.distributed.world import World, detect
from progan.stages.engine.numerics import set_numerics
from progan.stages.specs.penalties import Penalty
from progan.stages.specs.stage import StageSpec
from progan.stages.training.lazy_imports import (
    leave_out_compiler,
    leave_out_mlflow,
    leave_out_muon_kernels,
)

STEP_SECONDS = 4.0
"""A batch whose step takes longer is replaced by a smaller one"""
TIMED_SECONDS = 2.0
"""Of timed steps, of which there are two at least"""
LONG_SECONDS = 5.0
"""A first step that takes so long is not repeated"""


class RandomBatches(Iterator[Reals]):
    """What the loader gives, always the same random pictures."""

    def __init__(self, spec: StageSpec, device: torch.device) -> None:
        size = spec.batch, spec.model.channels, spec.resolution, spec.resolution
        pixels = torch.randint(256, size, dtype=torch.uint8)
        flips = torch.zeros(spec.batch, dtype=torch.bool)
        labels = torch.zeros(spec.batch, dtype=torch.long)
        self._reals = Reals(pixels, flips, labels, 0).to(device)

    def __next__(self) -> Reals:
        return self._reals


def measure(spec: StageSpec, batches: Sequence[int], world: World) -> dict[str, Any]:
    """Time a stage's step at the smallest of the batches, and at the largest that is short enough.

    batches: ascending; the last is the stage's. Returns the number of timed steps at the largest,
    and `timings`: pairs of a batch and the seconds of its step; one pair if both are the same.
    """
    smallest = batches[0]
    steps = Steps(spec, smallest, world)
    first = steps.time_first()
    if first > LONG_SECONDS:
        return {"timings": [(smallest, first)], "steps": 1}
    again = steps.time_first()
    batch = max((b for b in batches if again * b <= STEP_SECONDS * smallest), default=smallest)
    if batch > smallest:
        del steps
        gc.collect()  # before the next one takes memory
        steps = Steps(spec, batch, world)
        if again * batch < smallest:  # in a longer step the first one's extra work is no matter
            steps.time_first()
    seconds, number = steps.mean()
    timings = [(batch, seconds)]
    if smallest < batch < batches[-1]:
        timings.insert(0, (smallest, again))
    return {"timings": timings, "steps": number}


class Kind(NamedTuple):
    """A stage's steps that take the same time, and the first of them to be timed."""

    share: float
    """Of all steps"""
    images_seen: int
    number: int
    """Of the step, from 0, by the position in the stream of reals"""


def kinds(spec: StageSpec) -> list[Kind]:
    """A stage's kinds of steps: with all penalties and without lazy ones, separate and joint.

    A fade takes nearly as long as what follows it, 3 to 8 % longer with narrow networks on a CPU.
    """
    growth, due = spec.growth, share_of_due_steps(spec)
    phases = [(1.0, growth.fade_images // 2)]
    if growth.mode == "stacked":
        separate = growth.fade_images / growth.total_images
        phases = [(separate, 0), (1 - separate, growth.total_images)]
    found = [
        Kind(share * part, images_seen, number)
        for share, images_seen in phases
        for number, part in enumerate((due, 1 - due))
    ]
    return [kind for kind in found if kind.share]


def share_of_due_steps(spec: StageSpec) -> float:
    """How often a step has all penalties, as the mean over those with an interval; else 1."""
    lazy = [
        min(1.0, spec.objective.critic_steps / each.interval)
        for each in spec.objective.penalties
        if isinstance(each, Penalty) and each.interval > 1
    ]
    return statistics.mean(lazy) if lazy else 1.0


class Steps:
    """A stage's steps at one batch."""

    def __init__(self, spec: StageSpec, batch: int, world: World) -> None:
        from progan.stages.training.networks import Networks
        from progan.stages.training.stage import assemble

        spec = spec.model_copy(update={"batch": batch})
        batches: Any = RandomBatches(spec, world.device)
        self._stage = assemble(spec, world, Networks.drawn(spec), batches, position=0)
        self._kinds = kinds(spec)

    def time_first(self) -> float:
        """Seconds of a step of the first kind."""
        return self._time(self._kinds[0])

    def mean(self) -> tuple[float, int]:
        """The mean over all kinds of the median of some steps, and the number of steps."""
        timings: dict[Kind, list[float]] = {kind: [] for kind in self._kinds}
        end, rounds = time.perf_counter() + TIMED_SECONDS, 0
        while rounds < 2 or time.perf_counter() < end:
            for kind, seconds in timings.items():
                seconds.append(self._time(kind))
            rounds += 1
        mean = sum(kind.share * statistics.median(each) for kind, each in timings.items())
        return mean, rounds * len(timings)

    def _time(self, kind: Kind) -> float:
        from progan.stages.training.loop import step

        stage = self._stage
        stage.images_seen = kind.images_seen
        stage.position = kind.number * stage.spec.images_per_step
        began = self._now()
        step(stage, dict)
        return self._now() - began

    def _now(self) -> float:
        if self._stage.world.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


def answer(request: dict[str, Any], world: World) -> dict[str, Any]:
    """The measurement of a request, or the first line of an error."""
    spec = StageSpec.model_validate(request["spec"])
    signal.alarm(request["limit"])  # ends this process
    set_numerics(spec.engine)
    if spec.compile == "off":
        leave_out_compiler()
        leave_out_muon_kernels()
    try:
        return measure(spec, request["batches"], world)
    except Exception as error:
        text = str(error).partition("\n")[0]
        return {"error": f"{type(error).__name__}: {text[:200]}"}
    finally:
        signal.alarm(0)
        gc.collect()


def main() -> None:
    """Answer requests until one fails or there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # DeepSpeed prints
    with suppress(OSError):  # a machine that runs out of memory should end this process first
        Path("/proc/self/oom_score_adj").write_text("1000")
    leave_out_mlflow()
    from progan.stages.distributed.process_group import start_distributed

    world = detect()
    start_distributed(world, timedelta(minutes=10))
    for line in sys.stdin:
        found = answer(json.loads(line), world)
        print(json.dumps(found), file=answers)
        if "error" in found:
            break
    os._exit(0)  # gloo's threads abort a process that ends in order


if __name__ == "__main__":
    main()
