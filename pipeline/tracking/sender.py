"""Sends to MLflow what a run's folder has and MLflow does not.

Everything can be repeated after a failure: files are replaced, runs are searched for before they
are created, and MLflow is asked up to which images_seen it has metrics.
"""

import hashlib
import json
import time
from pathlib import Path

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.config.yaml_io import flatten, yaml_text
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.points import batches, points
from progan.pipeline.tracking.registry import register
from progan.pipeline.tracking.state import StageState, TrackingState, read_state, write_state
from progan.pipeline.tracking.store import Store, sqlite_uri
from progan.pipeline.tracking.system_metrics import read_machine
from progan.pipeline.tracking.tags import run_tags, stage_tags
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.metrics_log import read_ticks
from progan.stages.storage.rollback import read_rollbacks
from progan.stages.storage.stage_folder import StageFolder, images_of

PREFIX = "system/"
"""Of the names of machine.jsonl's figures"""


class Sender:
    """Keeps a parent run and a nested run per stage up to date. Errors are raised.

    A nested run holds one history (lineage) of its stage. Metrics cannot be deleted from MLflow, so
    when a stage is rolled back or re-opened, its MLflow run is superseded by another one, which
    starts with the metrics that were kept. A stage that is only resumed continues its MLflow run.
    """

    def __init__(self, run: RunFolder, config: RunConfig, specs: list[StageSpec]) -> None:
        self.run = run
        self.config = config
        self.specs = specs
        self._store: Store | None = None
        self._state: TrackingState | None = None
        self._last_step: dict[str, int] = {}
        """images_seen of the last metrics in MLflow, by run id"""
        self._versions: dict[Path, tuple[int, int]] = {}
        """Size and modification time of files when they were last sent"""

    def send(self) -> None:
        """Send what is new."""
        store = self._store = self._store or self._connect()
        state = self._state = self._state or self._open(store)
        self._send_machine(store, state)
        for spec in self.specs:
            folder = self.run.stage(spec.resolution)
            if folder.metrics.exists():
                self._send_stage(store, state, spec, folder)

    def end(self, status: str) -> None:
        """Send what is new and end all MLflow runs with MLflow's `status`.

        Registers the generator of a finished run.
        """
        self.send()
        store, state = self._store, self._state
        assert store and state
        now = time.time()
        for stage in state.stages.values():
            if not stage.ended:
                store.end(stage.run_id, status, now)
        store.end(str(state.run_id), status, now)
        self._register(store, state)

    def forget(self) -> None:
        """Drop all cached state after an error; the next `send` queries MLflow again."""
        self._state = None
        self._last_step = {}
        self._versions = {}

    def _connect(self) -> Store:
        uri = self.config.tracking.mlflow
        if uri.startswith(("http", "databricks")):
            return Store(uri, artifacts=None)
        # A database does not store artifacts; MLflow's default is the working directory.
        parent = self.run.path.parent
        place = sqlite_uri(parent / "mlflow.db") if uri == "sqlite" else uri
        return Store(place, (parent / "mlartifacts").as_uri())

    def _open(self, store: Store) -> TrackingState:
        """Resume the run's MLflow run, or create it."""
        tracking = self.config.tracking
        state = read_state(self.run.tracking, tracking.mlflow)
        if None in (state.run_id, state.experiment_id) or not store.has(str(state.run_id)):
            state = TrackingState(store=state.store)
            state.experiment_id = store.experiment(tracking.experiment)
            state.run_id = store.run(
                state.experiment_id,
                self.run.name,
                key_tags={"progan.key": _key(self.run), "progan.stage": "all"},
                tags=tracking.tags | run_tags(Path.cwd()),
                start_time=_creation_time(self.run),
            )
            self._save(state)
        run_id, shown = str(state.run_id), self.config.masked()
        store.resume(run_id)
        store.log_params(run_id, flatten(shown.model_dump(mode="json")))
        store.log_text(run_id, yaml_text(shown), self.run.config.name)
        return state

    def _send_machine(self, store: Store, state: TrackingState) -> None:
        """Send new lines of machine.jsonl; their step is their number in the file."""
        if not (self.run.machine.exists() and self._changed(self.run.machine)):
            return
        lines = read_machine(self.run.machine)
        all_points = [(number, points(line, number, PREFIX)) for number, line in lines.items()]
        if state.machine_lines is None and all_points:
            some_metric = all_points[-1][1][-1].key
            state.machine_lines = store.next_step(str(state.run_id), some_metric)
        unsent = [(n, found) for n, found in all_points if n >= (state.machine_lines or 0)]
        for count, batch in batches([found for _, found in unsent]):
            store.log_points(str(state.run_id), batch)
            state.machine_lines = unsent[count - 1][0] + 1
            unsent = unsent[count:]
            self._save(state)

    def _send_stage(
        self, store: Store, state: TrackingState, spec: StageSpec, folder: StageFolder
    ) -> None:
        # Read the lineage before the metrics: a rollback cuts the metrics before it is recorded.
        lineage = self._lineage(spec.resolution)
        name = f"{self.run.name}-{spec.resolution:04d}"
        stage = self._existing_stage(store, state, spec.resolution)
        if stage and stage.lineage != lineage:
            store.supersede(stage.run_id, name)
            stage = None
        stage = stage or self._create_stage(store, state, spec, name, lineage)
        if stage.ended:
            return
        if stage.run_id not in self._last_step:
            self._last_step[stage.run_id] = store.resume(stage.run_id)
        if folder.starts.exists() and self._changed(folder.starts):
            store.set_tags(stage.run_id, stage_tags(folder))
            store.log_files(stage.run_id, [folder.starts])
        is_done = folder.final.exists()
        if self._changed(folder.metrics):
            self._send_ticks(store, stage, folder)
        self._send_samples(store, state, stage, folder)
        if is_done:
            store.end(stage.run_id, "FINISHED", folder.metrics.stat().st_mtime)
            stage.ended = True
            self._save(state)

    def _existing_stage(
        self, store: Store, state: TrackingState, resolution: int
    ) -> StageState | None:
        """A stage's run, unless somebody has deleted it in MLflow since the last start."""
        stage = state.stages.get(resolution)
        if stage is None or stage.ended or stage.run_id in self._last_step:
            return stage
        return stage if store.has(stage.run_id) else None

    def _create_stage(
        self, store: Store, state: TrackingState, spec: StageSpec, name: str, lineage: str
    ) -> StageState:
        key_tags = {
            "progan.key": _key(self.run),
            "progan.stage": f"{spec.resolution:04d}",
            "progan.lineage": lineage,
        }
        run_id = store.run(
            str(state.experiment_id),
            name,
            key_tags=key_tags,
            tags=self.config.tracking.tags | {"mlflow.parentRunId": str(state.run_id)},
            start_time=self.run.stage(spec.resolution).spec.stat().st_mtime,
        )
        store.log_params(run_id, flatten(spec.model_dump(mode="json")))
        stage = state.stages[spec.resolution] = StageState(run_id=run_id, lineage=lineage)
        self._save(state)
        self._versions = {}  # all files have to be sent to the new run
        return stage

    def _send_ticks(self, store: Store, stage: StageState, folder: StageFolder) -> None:
        ticks = [
            tick
            for tick in read_ticks(folder.metrics)
            if tick["images_seen"] > self._last_step[stage.run_id]
        ]
        if ticks:
            store.set_tags(stage.run_id, {"phase": ticks[-1]["phase"]})
        for count, batch in batches([points(tick, tick["images_seen"]) for tick in ticks]):
            store.log_points(stage.run_id, batch)
            self._last_step[stage.run_id] = ticks[count - 1]["images_seen"]
            ticks = ticks[count:]

    def _send_samples(
        self, store: Store, state: TrackingState, stage: StageState, folder: StageFolder
    ) -> None:
        if not stage.reals and folder.reals.exists():
            store.log_files(stage.run_id, [folder.reals], "samples")
            stage.reals = True
            self._save(state)
        for grid in sorted(folder.samples.glob("fakes_*.png")):
            if images_of(grid) > stage.samples_until:
                store.log_files(stage.run_id, [grid], "samples")
                stage.samples_until = images_of(grid)
                self._save(state)

    def _register(self, store: Store, state: TrackingState) -> None:
        last = self.specs[-1].resolution
        stage = state.stages.get(last)
        name = self.config.tracking.registered_name(self.run.name)
        if name and stage and not stage.model_version and self.run.stage(last).final.exists():
            stage.model_version = register(store, name, self.run, stage.run_id)
            self._save(state)

    def _lineage(self, resolution: int) -> str:
        """Identifies the history in a stage's folder: counts of re-openings and rollbacks."""
        reopened = [
            event.fields["resolution"]
            for event in EventLog(self.run.events).events()
            if event.kind == "stage_reopened"
        ]
        rollbacks = len(read_rollbacks(self.run.stage(resolution).rollbacks))
        return f"{sum(stage <= resolution for stage in reopened)}.{rollbacks}"

    def _changed(self, file: Path) -> bool:
        """Whether a file was modified since the last call for it."""
        now = file.stat().st_size, file.stat().st_mtime_ns
        before, self._versions[file] = self._versions.get(file), now
        return before != now

    def _save(self, state: TrackingState) -> None:
        write_state(self.run.tracking, state)


def _key(run: RunFolder) -> str:
    """Identifies a run by its first event: a tag, by which its MLflow runs are found again when
    their creation was not confirmed, or tracking.json is lost."""
    first = next(iter(EventLog(run.events).events()), None)
    identity = [first.time, first.fields] if first else [str(run.path)]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def _creation_time(run: RunFolder) -> float:
    """The time of the run's first event."""
    return next((event.time for event in EventLog(run.events).events()), time.time())
