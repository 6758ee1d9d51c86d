"""Sends MLflow what a run's folder has and MLflow has not.

Whatever fails, it may be called again: files are replaced, runs are looked for before they are
made, and how far the figures reach is asked of MLflow itself.
"""

import time
from pathlib import Path

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.config.yaml_io import flatten
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.points import batches, points
from progan.pipeline.tracking.registry import register
from progan.pipeline.tracking.state import StageState, TrackingState, read_state, write_state
from progan.pipeline.tracking.store import Store
from progan.pipeline.tracking.tags import of_a_stage, of_the_run
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.metrics_log import read_ticks
from progan.stages.storage.rollback import read_rollbacks
from progan.stages.storage.stage_folder import StageFolder, images_of


class Sender:
    """Keeps a parent run and a nested run per stage up to date. Any error is the caller's.

    A nested run holds one history of its stage. Points cannot be taken back from MLflow, so when a
    stage goes back on its data, by a rollback or re-opened, the run so far is set aside and another
    begins with what was kept. A stage that only resumes goes on in its run.
    """

    def __init__(self, run: RunFolder, config: RunConfig, specs: list[StageSpec]) -> None:
        self.run = run
        self.config = config
        self.specs = specs
        self._store: Store | None = None
        self._told: TrackingState | None = None
        self._reached: dict[str, int] = {}
        self._seen: dict[Path, tuple[int, int]] = {}

    def send(self) -> None:
        """Send what is new."""
        store = self._store = self._store or self._connect()
        told = self._told = self._told or self._open(store)
        self._send_machine(store, told)
        for spec in self.specs:
            folder = self.run.stage(spec.resolution)
            if folder.metrics.exists():
                self._send_stage(store, told, spec, folder)

    def end(self, status: str) -> None:
        """Send what is new and end all runs that are not ended; `status` as MLflow names it.

        Of a finished run the generator is registered.
        """
        self.send()
        store, told = self._store, self._told
        assert store and told
        now = time.time()
        for stage in told.stages.values():
            if not stage.ended:
                store.end(stage.run_id, status, now)
        store.end(str(told.run_id), status, now)
        self._register(store, told)

    def forget(self) -> None:
        """After an error: whatever was thought to be sent is asked for again."""
        self._told = None
        self._reached = {}
        self._seen = {}

    def _connect(self) -> Store:
        uri = self.config.tracking.mlflow
        if uri.startswith(("http", "databricks")):
            return Store(uri, artifacts=None)
        # A database keeps no files, and MLflow would put them into the current folder.
        beside = self.run.path.parent
        file = f"sqlite:///{beside / 'mlflow.db'}"
        return Store(file if uri == "sqlite" else uri, (beside / "mlartifacts").as_uri())

    def _open(self, store: Store) -> TrackingState:
        """Go on with the run's MLflow run, or make one."""
        tracking = self.config.tracking
        told = read_state(self.run.tracking, tracking.mlflow)
        if told.run_id is None or not store.has(told.run_id):
            told = TrackingState(key=told.key, store=told.store)
            self._save(told)
            told.experiment_id = store.experiment(tracking.experiment)
            told.run_id = store.run(
                told.experiment_id,
                self.run.name,
                known_by={"progan.key": told.key, "progan.stage": "all"},
                tags=of_the_run(Path.cwd()) | tracking.tags,
                began=_began(self.run),
            )
            self._save(told)
        store.go_on(told.run_id)
        store.log_params(told.run_id, flatten(self.config.model_dump(mode="json")))
        store.log_files(told.run_id, [self.run.config])
        return told

    def _send_machine(self, store: Store, told: TrackingState) -> None:
        if not (self.run.machine.exists() and self._changed(self.run.machine)):
            return
        lines = read_ticks(self.run.machine)
        sent = told.machine_lines
        new = [points(line, sent + n, "system/") for n, line in enumerate(lines[sent:])]
        for count, batch in batches(new):
            store.log_points(str(told.run_id), batch)
            told.machine_lines += count
            self._save(told)

    def _send_stage(
        self, store: Store, told: TrackingState, spec: StageSpec, folder: StageFolder
    ) -> None:
        # The lineage first: workers that go back cut the figures before they say so.
        lineage = self._lineage(spec.resolution)
        name = f"{self.run.name}-{spec.resolution:04d}"
        stage = told.stages.get(spec.resolution)
        if stage and stage.lineage != lineage:
            store.set_aside(stage.run_id, name)
            stage = None
        stage = stage or self._make_stage(store, told, spec, name, lineage)
        if stage.ended:
            return
        if stage.run_id not in self._reached:
            self._reached[stage.run_id] = store.go_on(stage.run_id)
        if folder.starts.exists() and self._changed(folder.starts):
            store.set_tags(stage.run_id, of_a_stage(folder))
            store.log_files(stage.run_id, [folder.starts])
        is_done = folder.final.exists()
        if self._changed(folder.metrics):
            self._send_ticks(store, stage, folder)
        self._send_samples(store, told, stage, folder)
        if is_done:
            store.end(stage.run_id, "FINISHED", folder.metrics.stat().st_mtime)
            stage.ended = True
            self._save(told)

    def _make_stage(
        self, store: Store, told: TrackingState, spec: StageSpec, name: str, lineage: str
    ) -> StageState:
        known_by = {
            "progan.key": told.key,
            "progan.stage": f"{spec.resolution:04d}",
            "progan.lineage": lineage,
        }
        run_id = store.run(
            str(told.experiment_id),
            name,
            known_by=known_by,
            tags={"mlflow.parentRunId": str(told.run_id)} | self.config.tracking.tags,
            began=self.run.stage(spec.resolution).spec.stat().st_mtime,
        )
        store.log_params(run_id, flatten(spec.model_dump(mode="json")))
        stage = told.stages[spec.resolution] = StageState(run_id=run_id, lineage=lineage)
        self._save(told)
        self._seen = {}  # a new run has none of it
        return stage

    def _send_ticks(self, store: Store, stage: StageState, folder: StageFolder) -> None:
        ticks = [
            tick
            for tick in read_ticks(folder.metrics)
            if tick["images_seen"] > self._reached[stage.run_id]
        ]
        if ticks:
            store.set_tags(stage.run_id, {"phase": ticks[-1]["phase"]})
        for count, batch in batches([points(tick, tick["images_seen"]) for tick in ticks]):
            store.log_points(stage.run_id, batch)
            self._reached[stage.run_id] = ticks[count - 1]["images_seen"]
            ticks = ticks[count:]

    def _send_samples(
        self, store: Store, told: TrackingState, stage: StageState, folder: StageFolder
    ) -> None:
        if not stage.reals and folder.reals.exists():
            store.log_files(stage.run_id, [folder.reals], "samples")
            stage.reals = True
            self._save(told)
        for grid in sorted(folder.samples.glob("fakes_*.png")):
            if images_of(grid) > stage.samples_until:
                store.log_files(stage.run_id, [grid], "samples")
                stage.samples_until = images_of(grid)
                self._save(told)

    def _register(self, store: Store, told: TrackingState) -> None:
        last = self.specs[-1].resolution
        stage = told.stages.get(last)
        name = self.config.tracking.registered_name(self.run.name)
        if name and stage and not stage.model_version and self.run.stage(last).final.exists():
            stage.model_version = register(store, name, self.run, stage.run_id)
            self._save(told)

    def _lineage(self, resolution: int) -> str:
        """Which history of a stage its folder holds: how often it was re-opened and went back."""
        reopened = [
            event.fields["resolution"]
            for event in EventLog(self.run.events).events()
            if event.kind == "stage_reopened"
        ]
        back = len(read_rollbacks(self.run.stage(resolution).rollbacks))
        return f"{sum(stage <= resolution for stage in reopened)}.{back}"

    def _changed(self, file: Path) -> bool:
        """Whether a file was written to since this was last asked."""
        now = file.stat().st_size, file.stat().st_mtime_ns
        before, self._seen[file] = self._seen.get(file), now
        return before != now

    def _save(self, told: TrackingState) -> None:
        write_state(self.run.tracking, told)


def _began(run: RunFolder) -> float:
    """When the run was created."""
    return next((event.time for event in EventLog(run.events).events()), time.time())
