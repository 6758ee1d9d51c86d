"""A run takes on a configuration: first all checks, then what is written; no torch."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from progan.datasets.format.manifest import Manifest
from progan.launch.backends.backend import Backend
from progan.pipeline.config.schema import RunConfig
from progan.pipeline.errors import RunError
from progan.pipeline.plan.changes import Changes, accept_changes, require_possible
from progan.pipeline.plan.differences import shown
from progan.pipeline.plan.mid_stage import Begun
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run.beginning.data_sets import is_new_data, known_data
from progan.pipeline.run.beginning.reopening import reopen
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.orchestrator import job_of
from progan.pipeline.run_folder import RunFolder, freeze_config
from progan.stages.storage.final import DOCUMENT, is_published
from progan.stages.storage.sealed_folder import read_fields
from progan.stages.storage.spec_file import read_spec


class Accepted(NamedTuple):
    """What a run takes on."""

    old: RunConfig | None
    """The configuration saved before, if there is one"""
    manifest: Manifest
    new_data: bool
    """Whether the run goes on with this data set for the first time"""
    changes: Changes
    begun: Sequence[Begun]
    """The stages that keep what they have computed, with where they go on"""
    reopened: int | None
    """Resolution of the stage to re-open"""

    def messages(self) -> Iterator[str]:
        """What changes in stages that have begun, in words."""
        for stage in self.begun:
            found = self.changes.in_stages.get(stage.resolution, [])
            what = "; ".join(f"{each.key} {shown(each.old)} -> {shown(each.new)}" for each in found)
            name = f"{stage.resolution}x{stage.resolution}"
            if found and stage.finished:
                yield f"{name} has ended and stays as it was trained, without {what}"
            elif found:
                yield f"{name} goes on from {stage.images_seen / 1000:g} kimg with {what}"


def begun_stages(run: RunFolder) -> list[Begun]:
    """The stages that have begun, ascending."""
    found = []
    for file in sorted(run.path.glob("stages/[0-9]*/spec.json")):
        spec = read_spec(file)
        folder = run.stage(spec.resolution)
        finished = is_published(folder.final)
        seen = folder.newest_checkpoint
        if finished:
            seen = int(read_fields(folder.final, DOCUMENT)["images_seen"])
        found.append(Begun(spec, seen, finished))
    return found


def accept(
    run: RunFolder,
    old: RunConfig | None,
    config: RunConfig,
    manifest: Manifest,
    backend: Backend,
    *,
    stage: int | None = None,
    change: bool = False,
) -> Accepted:
    """Check all that a new configuration would change; nothing is written.

    stage: to re-open; `change`: whether begun stages may go on with what changes their
    computation. The caller holds the run's lock. Raises ConfigError or RunError.
    """
    event_log = EventLog(run.events)
    begun = begun_stages(run)
    reopened = _to_lengthen(run, config, begun) if stage is None else stage
    before = [each for each in begun if reopened is None or each.resolution < reopened]
    trained_on = [
        Begun(each.spec, run.stage(each.resolution).newest_checkpoint)
        for each in begun
        if each.resolution == reopened
    ]
    new_data = is_new_data(run.path, known_data(event_log), manifest, before + trained_on)
    kept = begun if stage is None else before
    changes = accept_changes(
        old or config, config, kept, recorded=_recorded(event_log), change=change
    )
    if stage is not None:
        for each in trained_on:
            require_possible(each, config)
    if changes.in_stages or new_data or reopened is not None:
        _require_idle(run, begun, event_log, backend)
    going_on = before if stage is not None else before + trained_on
    return Accepted(old, manifest, new_data, changes, going_on, reopened)


def _to_lengthen(run: RunFolder, config: RunConfig, begun: Sequence[Begun]) -> int | None:
    """The resolution of the last stage if it has ended and is to be longer."""
    if not begun or begun[-1].resolution not in config.resolutions:
        return None
    would_be = stage_spec(config, run, "", begun[-1].resolution)
    return begun[-1].resolution if begun[-1].ends_later(would_be) else None


def _require_idle(
    run: RunFolder, begun: Sequence[Begun], event_log: EventLog, backend: Backend
) -> None:
    """RunError if workers of an earlier start still train a stage, as it was specified then."""
    for stage in begun:
        if not stage.finished and job_of(event_log, stage.spec, backend):
            stop = shlex.join(["touch", str(run.stop)])
            raise RunError(
                f"workers of an earlier start still train stage {stage.resolution} as it was, or "
                f"wait in the queue: stop them first ({stop}), then repeat this command"
            )


def adopt(run: RunFolder, config: RunConfig, accepted: Accepted) -> None:
    """Write what was accepted: events, configuration, the stage to re-open."""
    event_log, data = EventLog(run.events), accepted.manifest
    identity = {"data_fingerprint": data.fingerprint, "pictures": data.pictures}
    if accepted.old is None:
        event_log.append("run_created", **identity)
    elif accepted.changes.words:
        event_log.append("config_changed", changes=accepted.changes.words)
    if accepted.new_data:
        event_log.append("data_changed", **identity)
    for stage in accepted.begun:
        if found := accepted.changes.in_stages.get(stage.resolution):
            event_log.append(
                "stage_changed",
                resolution=stage.resolution,
                images_seen=stage.images_seen,
                changes=[f"{each.key}: {shown(each.old)} -> {shown(each.new)}" for each in found],
                values={each.key: each.new for each in found},
            )
    if accepted.old != config:
        freeze_config(run, config)
    if accepted.reopened is not None:
        reopen(run, accepted.reopened)


def _recorded(event_log: EventLog) -> dict[int, dict[str, Any]]:
    """The newest accepted values, by stage and key."""
    found: dict[int, dict[str, Any]] = {}
    for event in event_log.events():
        if event.kind == "stage_changed":
            found.setdefault(event.fields["resolution"], {}).update(event.fields["values"])
    return found
