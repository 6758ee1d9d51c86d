"""Collects a report's content from a run's folder, at any time; only reads, no torch."""

import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from progan.pipeline.config.secrets import without_secrets
from progan.pipeline.config.yaml_io import yaml_text
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.report.comparisons import comparisons
from progan.pipeline.report.curves import Tick, charts
from progan.pipeline.report.document import Environment, Machines, Report, StagePart
from progan.pipeline.report.event_log import Clock, logged_events
from progan.pipeline.report.frames import collect_growth
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.status import status
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.launch_log import Host, Start, read_starts
from progan.stages.storage.metrics_log import read_ticks
from progan.stages.storage.stage_folder import StageFolder

FIRST_HUE, LAST_HUE = 195, 345
"""Hues of the first and the last stage, degrees"""


class StageData(NamedTuple):
    """A stage's spec, and the logs in its folder."""

    begins: int
    """Images that the run showed before it"""
    spec: StageSpec
    folder: StageFolder
    ticks: list[Tick]
    starts: list[Start]

    def clock(self, progress: dict[str, Any] | None) -> Clock:
        """Times, and the images that the run had shown by then."""
        points = [(0.0, 0)]
        points += [(start.time, start.images_seen) for start in self.starts]
        points += [(p["time"], p["images_seen"]) for p in (*self.ticks, *filter(None, [progress]))]
        return sorted((time, self.begins + images_seen) for time, images_seen in points)


def collect(run: RunFolder, *, pictures: bool = True) -> Report:
    """The report of a run. ConfigError or RunError if its configuration is missing or invalid.

    Without `pictures`, which take longest, it has no growth.
    """
    stages = stage_data(run)
    run_status = status(run)
    statuses = run_status["stages"]
    parts = tuple(
        _stage(stage, statuses[index], _hue(index, len(stages)))
        for index, stage in enumerate(stages)
    )
    clocks = {
        stage.spec.resolution: stage.clock(stage_status["progress"])
        for stage, stage_status in zip(stages, statuses, strict=True)
    }
    return Report(
        name=run.name,
        state=_state([part.state for part in parts]),
        made_at=time.time(),
        made_by=f"progan {version('progan')}",
        seconds_left=run_status["seconds_left"] or None,
        ends_at=run_status["ends_at"],
        stages=parts,
        growth=collect_growth([stage[:3] for stage in stages] if pictures else []),
        charts=charts([(stage.begins, stage.ticks) for stage in stages]),
        comparisons=comparisons(
            {stage.spec.resolution: stage.folder for stage in stages},
            {part.resolution: part.hue for part in parts},
        ),
        happenings=tuple(
            event.model_copy(update={"text": without_secrets(event.text)})
            for event in logged_events(EventLog(run.events).events(), clocks)
        ),
        environment=_environment(stages),
        config=without_secrets(yaml_text(frozen_config(run).masked())),
    )


def stage_data(run: RunFolder) -> list[StageData]:
    """All stages of a run's configuration, ascending; those that have not begun have no ticks."""
    stages: list[StageData] = []
    begins = 0
    for spec in stage_specs(frozen_config(run), run, ""):
        folder = run.stage(spec.resolution)
        ticks, starts = read_ticks(folder.metrics), read_starts(folder.starts)
        stages.append(StageData(begins, spec, folder, ticks, starts))
        # The last step may overshoot the plan.
        begins += max([spec.growth.total_images, *(tick["images_seen"] for tick in ticks[-1:])])
    return stages


def _hue(index: int, count: int) -> int:
    return round(FIRST_HUE + (LAST_HUE - FIRST_HUE) * index / max(1, count - 1))


def _stage(stage: StageData, stage_status: dict[str, Any], hue: int) -> StagePart:
    spec, ticks = stage.spec, stage.ticks
    progress = stage_status["progress"] or {}
    last_tick = ticks[-1]["images_seen"] if ticks else 0
    return StagePart(
        resolution=spec.resolution,
        state=stage_status["state"],
        begins=stage.begins,
        mode=spec.growth.mode,
        fade_images=spec.growth.fade_images,
        total_images=spec.growth.total_images,
        images_seen=max(last_tick, progress.get("images_seen", 0)),
        batch=spec.batch,
        lr=spec.lr,
        seconds=sum(tick["seconds"] for tick in ticks),
        hue=hue,
    )


def _state(states: Sequence[str]) -> str:
    """The run's state: that of its first unfinished stage."""
    return next((state for state in states if state != "done"), "done")


def _environment(stages: Sequence[StageData]) -> Environment:
    starts = sorted(
        ((stage.spec.resolution, start) for stage in stages for start in stage.starts),
        key=lambda entry: entry[1].time,
    )
    launches = tuple(
        Machines(
            time=start.time,
            resolution=resolution,
            images_seen=start.images_seen,
            ranks=start.ranks,
            hosts=tuple(_host(host) for host in start.hosts),
        )
        for resolution, start in starts
    )
    return Environment(starts=launches, versions=starts[-1][1].versions if starts else {})


def _host(host: Host) -> str:
    """gpu-07: 8 x NVIDIA H200, 139 GiB, 192 CPUs"""
    memory = f", {host.device_bytes / 2**30:.0f} GiB" if host.device_bytes else ""
    return (
        f"{host.name}: {host.ranks} \N{MULTIPLICATION SIGN} {host.device}{memory}, {host.cpus} CPUs"
    )
