"""Sends to MLflow what a run's folder has and MLflow does not.

Everything can be repeated after a failure: files are replaced, runs are searched for before they
are created, and MLflow is asked up to which images_seen it has metrics and sample grids.
"""

import time
from pathlib import Path

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.config.yaml_io import flatten, yaml_text
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.mlflow.database import is_locked, locked_message
from progan.pipeline.tracking.mlflow.points import batches, points
from progan.pipeline.tracking.mlflow.registry import LoggedGenerator, register
from progan.pipeline.tracking.mlflow.results import dataset_input, final_points
from progan.pipeline.tracking.mlflow.state import (
    StageState,
    TrackingState,
    read_state,
    write_state,
)
from progan.pipeline.tracking.mlflow.store import PARENT, Store, store_uri
from progan.pipeline.tracking.mlflow.tags import run_tags, stage_tags
from progan.pipeline.tracking.queue.destination import Status, TrackingError
from progan.pipeline.tracking.queue.grids import new_grids
from progan.pipeline.tracking.queue.history import (
    StageHistory,
    creation_time,
    histories,
    run_key,
)
from progan.pipeline.tracking.queue.system_metrics import read_machine
from progan.stages.specs.stage import StageSpec

PREFIX = "system/"
"""Of the names of machine.jsonl's figures"""


class MLflowSender:
    """Keeps a parent run and a nested run per stage up to date. Errors are raised.

    A nested run holds one history (lineage) of its stage. Metrics cannot be deleted from MLflow, so
    when a stage is rolled back or re-opened, its MLflow run is superseded by another one, which
    starts with the metrics that were kept. A stage that is only resumed continues its MLflow run.
    """

    title = "MLflow"

    def __init__(
        self,
        run: RunFolder,
        config: RunConfig,
        specs: list[StageSpec],
        state_file: Path | None = None,
    ) -> None:
        """`state_file`: where the ids of the MLflow runs are kept; by default RUN/tracking.json."""
        self.run = run
        self.config = config
        self.specs = specs
        self._uri = store_uri(run.path.parent, config.tracking.mlflow)
        self._state_file = state_file or run.tracking
        self._store: Store | None = None
        self._state: TrackingState | None = None
        self._last_step: dict[str, int] = {}
        """images_seen of the last metrics in MLflow, by run id"""
        self._last_grid: dict[str, int] = {}
        """The same of the last sample grid"""
        self._versions: dict[Path, tuple[int, int]] = {}
        """Size and modification time of files when they were last sent"""

    @property
    def target(self) -> str:
        """For `progan track --to`."""
        place = self.config.tracking.mlflow
        return "mlflow" if self._state_file == self.run.tracking else f"mlflow:{place}"

    def send(self) -> None:
        """Send what is new. TrackingError where a user can do something about a failure."""
        try:
            self._send()
        except Exception as error:
            raise self._explained(error) from error

    def end(self, status: Status) -> None:
        """Send what is new and end all MLflow runs with MLflow's `status`.

        Sends the report, and registers the generator of a finished run.
        """
        self.send()
        try:
            self._end(status)
        except Exception as error:
            raise self._explained(error) from error

    def forget(self) -> None:
        """Drop all cached state after an error; the next `send` queries MLflow again."""
        self._state = None
        self._last_step = {}
        self._last_grid = {}
        self._versions = {}

    def abandon(self) -> None:
        """Nothing: MLflow's requests have time limits."""

    def _explained(self, error: Exception) -> Exception:
        """The error, or what a user can do about it."""
        return TrackingError(locked_message(self._uri)) if is_locked(error) else error

    def _send(self) -> None:
        store = self._store = self._store or self._connect()
        state = self._state = self._state or self._open(store)
        self._send_machine(store, state)
        for history in histories(self.run, self.specs):
            self._send_stage(store, state, history)

    def _end(self, status: Status) -> None:
        store, state = self._store, self._state
        assert store and state
        now = time.time()
        for stage in state.stages.values():
            if not stage.ended:
                store.end(stage.run_id, status, now)
        if self.run.report.exists():
            store.log_files(str(state.run_id), [self.run.report])
        store.end(str(state.run_id), status, now)
        self._register(store, state)

    def _connect(self) -> Store:
        if self._uri.startswith(("http", "databricks")):
            return Store(self._uri, artifacts=None)
        # A database does not store artifacts; MLflow's default is the working directory.
        return Store(self._uri, (self.run.path.parent / "mlartifacts").as_uri())

    def _open(self, store: Store) -> TrackingState:
        """Resume the run's MLflow run, or create it."""
        tracking = self.config.tracking
        state = read_state(self._state_file, tracking.mlflow)
        if None in (state.run_id, state.experiment_id) or not store.has(str(state.run_id)):
            state = TrackingState(store=state.store)
            state.experiment_id = store.experiment(tracking.experiment)
            state.run_id = store.run(
                state.experiment_id,
                self.run.name,
                key_tags={"progan.key": run_key(self.run), "progan.stage": "all"},
                tags=tracking.tags | run_tags(Path.cwd()),
                start_time=creation_time(self.run),
            )
            self._save(state)
        run_id, shown = str(state.run_id), self.config.masked()
        store.resume(run_id)
        store.log_params(run_id, flatten(shown.model_dump(mode="json")))
        store.log_text(run_id, yaml_text(shown), self.run.config.name)
        self._send_dataset(store, run_id, self.specs[0])
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

    def _send_dataset(self, store: Store, run_id: str, spec: StageSpec) -> None:
        if dataset := dataset_input(spec):
            store.log_dataset(run_id, dataset)

    def _send_stage(self, store: Store, state: TrackingState, history: StageHistory) -> None:
        resolution, folder = history.spec.resolution, history.folder
        stage = self._existing_stage(store, state, resolution)
        if stage and stage.lineage != history.lineage:
            store.supersede(stage.run_id, history.name)
            stage = None
        stage = stage or self._create_stage(store, state, history)
        if not stage.ended:
            if stage.run_id not in self._last_step:
                self._last_step[stage.run_id] = store.resume(stage.run_id)
            if folder.starts.exists() and self._changed(folder.starts):
                store.set_tags(stage.run_id, stage_tags(folder))
                store.log_files(stage.run_id, [folder.starts])
            if self._changed(folder.metrics):
                self._send_ticks(store, stage, history)
            self._send_samples(store, state, stage, history)
        if history.is_done:
            self._finish_stage(store, state, stage, history)

    def _finish_stage(
        self, store: Store, state: TrackingState, stage: StageState, history: StageHistory
    ) -> None:
        """End a finished stage's run; send its final metrics when they are new or evaluated."""
        evaluation = history.folder.evaluation
        if not stage.ended or (evaluation.exists() and self._changed(evaluation)):
            store.log_points(str(state.run_id), final_points(history))
        if not stage.ended:
            store.end(stage.run_id, "FINISHED", history.folder.metrics.stat().st_mtime)
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
        self, store: Store, state: TrackingState, history: StageHistory
    ) -> StageState:
        spec, lineage = history.spec, history.lineage
        key_tags = {
            "progan.key": run_key(self.run),
            "progan.stage": f"{spec.resolution:04d}",
            "progan.lineage": lineage,
        }
        run_id = store.run(
            str(state.experiment_id),
            history.name,
            key_tags=key_tags,
            tags=self.config.tracking.tags | {PARENT: str(state.run_id)},
            start_time=history.folder.spec.stat().st_mtime,
        )
        store.log_params(run_id, flatten(spec.model_dump(mode="json")))
        self._send_dataset(store, run_id, spec)
        stage = state.stages[spec.resolution] = StageState(run_id=run_id, lineage=lineage)
        self._save(state)
        self._versions = {}  # all files have to be sent to the new run
        return stage

    def _send_ticks(self, store: Store, stage: StageState, history: StageHistory) -> None:
        ticks = history.ticks(self._last_step[stage.run_id])
        if ticks:
            store.set_tags(stage.run_id, {"phase": ticks[-1]["phase"]})
        for count, batch in batches([points(tick, tick["images_seen"]) for tick in ticks]):
            store.log_points(stage.run_id, batch)
            self._last_step[stage.run_id] = ticks[count - 1]["images_seen"]
            ticks = ticks[count:]

    def _send_samples(
        self, store: Store, state: TrackingState, stage: StageState, history: StageHistory
    ) -> None:
        if not stage.reals and history.folder.reals.exists():
            store.log_files(stage.run_id, [history.folder.reals], "samples")
            stage.reals = True
            self._save(state)
        if stage.run_id not in self._last_grid:
            self._last_grid[stage.run_id] = store.last_grid(stage.run_id)
        for images_seen, grid in new_grids(history, self._last_grid[stage.run_id]):
            store.log_grid(stage.run_id, grid, images_seen)
            self._last_grid[stage.run_id] = images_seen

    def _register(self, store: Store, state: TrackingState) -> None:
        last = self.specs[-1].resolution
        stage = state.stages.get(last)
        name = self.config.tracking.registered_name(self.run.name)
        history = next((h for h in histories(self.run, self.specs[-1:]) if h.is_done), None)
        if name and history and stage and not stage.model_version:
            generator = LoggedGenerator(self.run, history, str(state.experiment_id), stage.run_id)
            stage.model_version = register(store, name, generator, str(state.run_id))
            self._save(state)

    def _changed(self, file: Path) -> bool:
        """Whether a file was modified since the last call for it."""
        now = file.stat().st_size, file.stat().st_mtime_ns
        before, self._versions[file] = self._versions.get(file), now
        return before != now

    def _save(self, state: TrackingState) -> None:
        write_state(self._state_file, state)
