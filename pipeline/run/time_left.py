"""How long a run still takes, from the files of its folder; no torch.

The running stage goes on at its own rate. Later stages are in proportion to what was measured of
them on such a machine (pipeline/plan/times.py), or else to the cost of their steps
(pipeline/plan/costs.py), scaled by what the newest stage takes.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.plan.costs import step_cost
from progan.pipeline.plan.times import Hardware, number_of_steps, one_rank, remembered_times
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.orchestrator import read_progress
from progan.pipeline.run_folder import RunFolder
from progan.stages.errors import StageError
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.final import is_published
from progan.stages.storage.launch_log import Start, read_starts
from progan.stages.storage.metrics_log import read_ticks
from progan.stages.storage.stage_folder import StageFolder

SETTLED_SECONDS = 5.0
"""Of training, after which a stage's rate counts for later ones"""
QUEUED = ("slurm", "kubernetes")
"""Backends whose stages wait for machines before they start"""


@dataclass(frozen=True)
class TimeLeft:
    """Seconds until a run is done, without interruptions."""

    stages: dict[int, float]
    """Of each stage that is not done, by resolution, its start included"""
    on_gpus: bool
    by_steps: bool
    """Whether later stages are known by steps that were measured, not by their cost alone"""

    @property
    def seconds(self) -> float:
        """Of all stages."""
        return sum(self.stages.values())


@dataclass(frozen=True)
class Stage:
    """A stage, and how far and how fast its workers were since they last started."""

    spec: StageSpec
    images_seen: int
    trained_seconds: float
    trained_images: int
    starts: Sequence[Start]
    done: bool

    @property
    def seconds_per_image(self) -> float | None:
        """By the clock: metrics, samples and checkpoints included. None if nothing is known."""
        return self.trained_seconds / self.trained_images if self.trained_images > 0 else None

    @property
    def is_settled(self) -> bool:
        """Whether its rate says something of later stages."""
        return self.trained_images > 0 and (self.done or self.trained_seconds > SETTLED_SECONDS)

    @property
    def images_left(self) -> int:
        """The last step may overshoot."""
        return 0 if self.done else max(0, self.spec.growth.total_images - self.images_seen)


def time_left(
    run: RunFolder,
    config: RunConfig,
    specs: Sequence[StageSpec],
    ranks: int | None = None,
) -> TimeLeft | None:
    """The time that a run still takes; None if nothing is known of its rate.

    ranks: of a run that has not started yet, if they are known.
    """
    stages = [_stage(spec, run.stage(spec.resolution)) for spec in specs]
    start = max((s for each in stages for s in each.starts), key=lambda s: s.time, default=None)
    if start and start.hosts:
        ranks, hardware = start.ranks, Hardware.of(start.hosts[0])
    elif ranks:
        hardware = Hardware.here(config.launch, ranks)
    else:
        return None
    expected, by_steps = _expected(specs, ranks, hardware)
    settled = [stage for stage in stages if stage.is_settled]
    if not settled and not by_steps:
        return None
    scale = _scale(settled[-1], expected[settled[-1].spec.resolution]) if settled else 1.0
    start_seconds = 0.0 if config.launch.backend in QUEUED else _start_seconds(run, stages)
    return TimeLeft(
        {
            stage.spec.resolution: _stage_left(stage, scale * expected[stage.spec.resolution])
            + (0.0 if stage.starts else start_seconds)
            for stage in stages
            if not stage.done
        },
        hardware.on_gpus,
        by_steps,
    )


def _stage(spec: StageSpec, folder: StageFolder) -> Stage:
    starts, progress = read_starts(folder.starts), read_progress(folder)
    points = [(point["time"], point["images_seen"]) for point in read_ticks(folder.metrics)]
    if progress:
        points.append((progress["time"], progress["images_seen"]))
    images_seen = max((seen for _, seen in points), default=0)
    done = False
    with suppress(StageError):
        done = is_published(folder.final)
    for start in reversed(starts):
        since = [(time, seen) for time, seen in points if time > start.time]
        if since:
            time, seen = max(since)
            trained = time - start.time, seen - start.images_seen
            return Stage(spec, images_seen, *trained, starts, done)
        points = [point for point in points if point[0] <= start.time]
    return Stage(spec, images_seen, 0.0, 0, starts, done)


def _expected(
    specs: Sequence[StageSpec], ranks: int, hardware: Hardware
) -> tuple[dict[int, float], bool]:
    """What each stage takes, in seconds, or else in a unit that is the same for all."""
    measured: dict[int, float] = {}
    for spec, found in zip(specs, remembered_times(specs, ranks, hardware), strict=True):
        if found and (seconds := found.seconds(spec)):
            measured[spec.resolution] = seconds
    if len(measured) == len(specs):
        return measured, True
    return {
        spec.resolution: number_of_steps(spec)
        * step_cost(spec, one_rank(spec, ranks).batch, on_gpus=hardware.on_gpus)
        for spec in specs
    }, False


def _scale(stage: Stage, expected: float) -> float:
    """Seconds that a stage takes for one that was expected."""
    assert stage.seconds_per_image is not None
    return stage.seconds_per_image * stage.spec.growth.total_images / expected


def _stage_left(stage: Stage, expected: float) -> float:
    if stage.seconds_per_image is not None:
        return stage.seconds_per_image * stage.images_left
    return expected * stage.images_left / stage.spec.growth.total_images


def _start_seconds(run: RunFolder, stages: Sequence[Stage]) -> float:
    """From the launch of a stage to its first step: the least so far."""
    launched: dict[int, float] = {}
    for event in EventLog(run.events).events():
        if event.kind == "stage_started":
            launched.setdefault(event.fields["resolution"], event.time)
    return min(
        (
            stage.starts[0].time - launched[stage.spec.resolution]
            for stage in stages
            if stage.starts and stage.spec.resolution in launched
        ),
        default=0.0,
    )
