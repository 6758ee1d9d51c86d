"""How long the stages of a run take on this machine, by a few real steps of each; no torch.

The steps run in another process (stages/costs/probe.py), so that one that fails fails alone.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, ValidationError

from progan.launch.detached import die_with_parent
from progan.launch.devices import count_gpus, gpu_names
from progan.launch.environment import local_variables
from progan.launch.spec import LaunchSpec
from progan.pipeline.plan.costs import step_cost
from progan.pipeline.plan.plan import unshareable
from progan.pipeline.plan.remembered import Remembered
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.launch_log import Host, processor

REMEMBERED = Remembered("times")
PROBE = "progan.stages.costs.probe"
LONGEST_STEP_SECONDS = 20.0
"""A stage whose smallest step takes longer is not measured"""
LIMIT_SECONDS = 300
"""For the steps of one stage; torch.compile takes one or two minutes of it"""
DAY_SECONDS = 24 * 3600.0
OF_A_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
"""Variables of a shell in a job, with which the probe would wait for other ranks"""


@dataclass(frozen=True)
class Hardware:
    """What a step's time depends on besides the stage."""

    device: str
    """Name of each rank's GPU, or of the processor"""
    ranks: int
    """On one machine"""
    cpus: int
    on_gpus: bool

    @classmethod
    def here(cls, launch: LaunchSpec, ranks: int) -> Self:
        """This machine with its part of a run's ranks."""
        if launch.backend != "local" and launch.gpus_per_node != "auto":
            ranks = launch.gpus_per_node
        on_gpus = count_gpus(launch.env) > 0
        device = next(iter(gpu_names(launch.env)), "GPU") if on_gpus else processor()
        return cls(device, ranks, os.cpu_count() or 1, on_gpus)

    @classmethod
    def of(cls, host: Host) -> Self:
        """A machine that took part in a run."""
        return cls(host.device, host.ranks, host.cpus, host.device_bytes is not None)


class StageTime(BaseModel):
    """The time of a stage's step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step_seconds: PositiveFloat | None
    """On one rank with its share of the batch; None if its steps failed"""
    batch: NonNegativeInt
    """Images in the timed steps; fewer than the rank's share where that takes long"""
    steps: NonNegativeInt
    """Timed steps; 0 if the time is computed from the stage before (costs.py)"""
    error: str | None = None

    def images_per_second(self, spec: StageSpec) -> float | None:
        """Of all ranks together."""
        return self.step_seconds and spec.images_per_step / self.step_seconds

    def seconds(self, spec: StageSpec) -> float | None:
        """Of all steps of the stage."""
        return self.step_seconds and self.step_seconds * number_of_steps(spec)


def number_of_steps(spec: StageSpec) -> int:
    """The last one may overshoot the stage's images."""
    return -(-spec.growth.total_images // spec.images_per_step)


def remembered_times(
    specs: Sequence[StageSpec], ranks: int, hardware: Hardware
) -> list[StageTime | None]:
    """What was measured of each stage on such a machine; None where nothing was."""
    return [_remembered(spec, ranks, hardware) for spec in specs]


def _remembered(spec: StageSpec, ranks: int, hardware: Hardware) -> StageTime | None:
    try:
        return StageTime.model_validate(REMEMBERED.read(spec, ranks, astuple(hardware)))
    except ValidationError:
        return None


def measure_times(
    specs: Sequence[StageSpec], ranks: int, launch: LaunchSpec
) -> Iterator[StageTime]:
    """Run steps of each stage, ascending, as one of `ranks` ranks here; remembers their times."""
    hardware = Hardware.here(launch, ranks)
    with Prober(local_variables(launch, hardware.ranks)) as prober:
        last: tuple[StageSpec, float] | None = None
        for spec in specs:
            found = _measured(one_rank(spec, ranks), prober, last, on_gpus=hardware.on_gpus)
            if found.step_seconds and found.steps:
                last = one_rank(spec, ranks), found.step_seconds
            if not found.error:
                REMEMBERED.write(found.model_dump(), spec, ranks, astuple(hardware))
            yield found


def one_rank(spec: StageSpec, ranks: int) -> StageSpec:
    """A stage of one rank that does what each of `ranks` ranks does."""
    return spec.model_copy(update={"batch": spec.batch // ranks})


def _measured(
    spec: StageSpec, prober: "Prober", last: tuple[StageSpec, float] | None, *, on_gpus: bool
) -> StageTime:
    """last: the last stage that was measured, and the seconds of its step."""
    batches = [n for n in range(1, spec.batch + 1) if _divides(spec, n)]
    if last and _scaled(spec, batches[0], *last, on_gpus=on_gpus) > LONGEST_STEP_SECONDS:
        seconds = _scaled(spec, spec.batch, *last, on_gpus=on_gpus)
        return StageTime(step_seconds=seconds, batch=0, steps=0)
    answer = prober.ask(spec, batches)
    if "error" in answer:
        return StageTime(step_seconds=None, batch=0, steps=0, error=str(answer["error"]))
    return StageTime(
        step_seconds=whole_step(spec.batch, answer["timings"]),
        batch=max(answer["timings"])[0],
        steps=answer["steps"],
    )


def _divides(spec: StageSpec, batch: int) -> bool:
    """Whether a rank can take steps of so many images, whose multiple is its share of the batch."""
    smaller = spec.model_copy(update={"batch": batch})
    return spec.batch % batch == 0 and unshareable(smaller, ranks=1) is None


def _scaled(
    spec: StageSpec, batch: int, before: StageSpec, seconds: float, *, on_gpus: bool
) -> float:
    """Seconds of a step in proportion to its cost, by those of another stage's."""
    cost, known = (
        step_cost(each, number, on_gpus=on_gpus)
        for each, number in ((spec, batch), (before, before.batch))
    )
    return seconds * cost / known


def whole_step(batch: int, timings: Sequence[tuple[int, float]]) -> float:
    """Seconds of a step of `batch` images, on the line through the timings of one or two batches.

    A step's time has a part that its images do not change, but never grows faster than they do.
    """
    *before, (largest, seconds) = sorted(timings)
    slope = most = seconds / largest
    for smaller, less in before:
        slope = min(most, max(most / 4, (seconds - less) / (largest - smaller)))
    return seconds + slope * (batch - largest)


def about(seconds: float) -> str:
    """45 s, 20 min, 13 h 20 min, 3 d 4 h, 12 days."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    if hours < 10 * 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{round(hours / 24):,} days"


def longer_than_a_day(seconds: float | None, *, on_gpus: bool) -> str | None:
    """A warning if a run takes more than a day on CPUs; seconds: None if it is not known."""
    if on_gpus or seconds is None or seconds < DAY_SECONDS:
        return None
    return (
        f"the run will take about {about(seconds)} on this machine's CPUs; less on a GPU, with a "
        "lower growth.last, narrower networks (model.fmap_base, model.fmap_max) or shorter stages "
        "(growth.fade_kimg, growth.steady_kimg)"
    )


class Prober:
    """Asks a process to run steps; starts another one after a failure."""

    def __init__(self, variables: dict[str, str]) -> None:
        inherited = {k: v for k, v in os.environ.items() if k not in OF_A_LAUNCHER}
        self._env = inherited | variables
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        self._log.close()

    def ask(self, spec: StageSpec, batches: Sequence[int]) -> dict[str, Any]:
        """The answer of stages/costs/probe.py: timings and steps, or an error."""
        process = self._process = self._process or self._start()
        assert process.stdin and process.stdout
        request = {"spec": spec.model_dump(mode="json"), "batches": batches, "limit": LIMIT_SECONDS}
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._why_ended(process)}
        if "error" in answer:  # its memory may not be usable any more
            self._end()
        return answer

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", PROBE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=self._env,
            preexec_fn=die_with_parent,
        )

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _why_ended(self, process: subprocess.Popen[str]) -> str:
        code = process.wait()
        if code == -signal.SIGALRM:
            return f"its steps did not end within {LIMIT_SECONDS} s"
        if code == -signal.SIGKILL:
            return "killed, probably because it took too much memory"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        said = next((line for line in reversed(lines) if line.strip()), "")
        return f"its process ended with code {code}: {said[:200]}"
