"""A run's folder -> what a report says of it; only reads, no torch, at any moment of a run."""

import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from progan.pipeline.config.secrets import without_secrets
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
"""Degrees on the colour circle between which the stages lie"""


class Begun(NamedTuple):
    """One stage with what its folder has."""

    begins: int
    """Images of the run before it"""
    spec: StageSpec
    folder: StageFolder
    ticks: list[Tick]
    starts: list[Start]

    def clock(self, progress: dict[str, Any] | None) -> Clock:
        """When it had shown how many images of the run."""
        said = [(start.time, start.images_seen) for start in self.starts]
        said += [(p["time"], p["images_seen"]) for p in (*self.ticks, *filter(None, [progress]))]
        known = [(0.0, self.begins)]
        known += [(when, self.begins + images_seen) for when, images_seen in said]
        return sorted(known)


def collect(run: RunFolder) -> Report:
    """All that there is to say of a run. ConfigError or RunError if its files are not a run's."""
    stages = _stages(run)
    standing = status(run)["stages"]
    event_log = EventLog(run.events).events()
    parts = tuple(
        _stage(stage, standing[place], _hue(place, len(stages)))
        for place, stage in enumerate(stages)
    )
    clocks = {
        stage.spec.resolution: stage.clock(standing[place]["progress"])
        for place, stage in enumerate(stages)
    }
    return Report(
        name=run.name,
        state=_state([part.state for part in parts]),
        made_at=time.time(),
        made_by=f"progan {version('progan')}",
        stages=parts,
        growth=collect_growth([stage[:3] for stage in stages]),
        charts=charts([(stage.begins, stage.ticks) for stage in stages]),
        comparisons=comparisons(
            {stage.spec.resolution: stage.folder for stage in stages},
            {part.resolution: part.hue for part in parts},
        ),
        happenings=tuple(
            happening.model_copy(update={"text": without_secrets(happening.text)})
            for happening in logged_events(event_log, clocks)
        ),
        environment=_environment(stages),
        config=without_secrets(run.config.read_text()),
    )


def _stages(run: RunFolder) -> list[Begun]:
    stages: list[Begun] = []
    begins = 0
    for spec in stage_specs(frozen_config(run), run, ""):
        folder = run.stage(spec.resolution)
        ticks, starts = read_ticks(folder.metrics), read_starts(folder.starts)
        stages.append(Begun(begins, spec, folder, ticks, starts))
        # The last step may go past the plan's end.
        begins += max([spec.growth.total_images, *(tick["images_seen"] for tick in ticks[-1:])])
    return stages


def _hue(place: int, count: int) -> int:
    return round(FIRST_HUE + (LAST_HUE - FIRST_HUE) * place / max(1, count - 1))


def _stage(stage: Begun, standing: dict[str, Any], hue: int) -> StagePart:
    spec, ticks = stage.spec, stage.ticks
    progress = standing["progress"] or {}
    last_tick = ticks[-1]["images_seen"] if ticks else 0
    return StagePart(
        resolution=spec.resolution,
        state=standing["state"],
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
    """That of the run: of the first stage that is not done."""
    return next((state for state in states if state != "done"), "done")


def _environment(stages: Sequence[Begun]) -> Environment:
    starts = sorted(
        ((stage.spec.resolution, start) for stage in stages for start in stage.starts),
        key=lambda entry: entry[1].time,
    )
    machines = tuple(
        Machines(
            time=start.time,
            resolution=resolution,
            images_seen=start.images_seen,
            ranks=start.ranks,
            hosts=tuple(_host(host) for host in start.hosts),
        )
        for resolution, start in starts
    )
    return Environment(starts=machines, versions=starts[-1][1].versions if starts else {})


def _host(host: Host) -> str:
    """gpu-07: 8 x NVIDIA H200, 139 GiB, 192 CPUs"""
    memory = f", {host.device_bytes / 2**30:.0f} GiB" if host.device_bytes else ""
    return (
        f"{host.name}: {host.ranks} \N{MULTIPLICATION SIGN} {host.device}{memory}, {host.cpus} CPUs"
    )
