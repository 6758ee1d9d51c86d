"""Sends a run to Weights & Biases: a group with a run for each stage.

W&B's client keeps everything in RUN/wandb, and uploads it in a process of its own; with
WANDB_MODE=offline it does not, and `wandb sync RUN/wandb/offline-run-*` uploads it later.
"""

import hashlib
import json
import shlex
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from progan.datasets.files import parse_json, write_whole
from progan.pipeline.config.schema import RunConfig
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.queue.destination import Status, TrackingError
from progan.pipeline.tracking.queue.grids import new_grids
from progan.pipeline.tracking.queue.history import StageHistory, histories, run_key, scalars
from progan.pipeline.tracking.wandb.login import quiet_wandb
from progan.pipeline.tracking.wandb.transaction_log import history_rows
from progan.stages.specs.stage import StageSpec

STEP, GRID_STEP, GRIDS = "images_seen", "samples_images_seen", "samples"
INIT_SECONDS = 20.0
FLUSH_SECONDS = 20.0
MAX_TAG = 64
"""Characters of a W&B tag"""
SERVICE = "wandb-core"
"""The client's own process"""


@dataclass
class Kept:
    """What a stage's W&B run has."""

    last_tick: int = 0
    """images_seen of the last scalars"""
    last_grid: int = 0
    """The same of the last sample grid"""
    next_step: int = 0
    """W&B's own count of rows"""


@dataclass
class Session:
    """A stage's W&B run, open in this process."""

    run: Any
    lineage: str
    kept: Kept

    def log(self, values: dict[str, Any]) -> None:
        """Log one row. Steps go on where an earlier process ended."""
        self.run.log(values, step=self.kept.next_step)
        self.kept.next_step += 1


class WandbSender:
    """Keeps a W&B run for each stage up to date. Errors are raised.

    A W&B run's id is made of the progan run's key, the resolution and the stage's lineage; so a
    resumed stage continues its run, and one that was rolled back or re-opened gets another. What a
    run has is asked of W&B, or offline read from the client's own files.
    """

    title = "W&B"

    def __init__(self, run: RunFolder, config: RunConfig, specs: list[StageSpec]) -> None:
        self.run = run
        self.config = config
        self.specs = specs
        self.target = f"wandb:{config.tracking.wandb}"
        self._folder = run.path / "wandb"
        self._sessions: dict[int, Session] = {}

    def send(self) -> None:
        """Send what is new."""
        for history in histories(self.run, self.specs):
            if self._is_sent(history):
                continue
            session = self._session(history)
            self._send_new(session, history)
            if history.is_done:
                self._finish(session, history, exit_code=0)

    def end(self, status: Status) -> None:
        """Send what is new and end the open W&B runs; waits for the upload."""
        self.send()
        for history in list(histories(self.run, self.specs)):
            if session := self._sessions.get(history.spec.resolution):
                self._finish(session, history, exit_code=0 if status == "FINISHED" else 1)

    def forget(self) -> None:
        """Close the open W&B runs; the next call asks what they have."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            with suppress(Exception):
                self._close(session, exit_code=0)

    def abandon(self) -> None:
        """End the client's process, for whose upload Python would wait at its exit."""
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if child.name() == SERVICE:
                    child.kill()
        with suppress(Exception, SystemExit):  # it has lost its process, and exits as that did
            quiet_wandb().teardown()

    def _send_new(self, session: Session, history: StageHistory) -> None:
        kept = session.kept
        for tick in history.ticks(kept.last_tick):
            session.log(scalars(tick))
            kept.last_tick = tick["images_seen"]
        for images_seen, grid in new_grids(history, kept.last_grid):
            session.log({GRIDS: quiet_wandb().Image(grid), GRID_STEP: images_seen})
            kept.last_grid = images_seen

    def _session(self, history: StageHistory) -> Session:
        """The stage's open run; begun, or continued."""
        session = self._sessions.get(history.spec.resolution)
        if session and session.lineage == history.lineage:
            return session
        if session:
            self._close(session, exit_code=1)
        session = self._open(history)
        self._sessions[history.spec.resolution] = session
        return session

    def _open(self, history: StageHistory) -> Session:
        wandb = quiet_wandb()
        entity, _, project = self.config.tracking.wandb.rpartition("/")
        self._folder.mkdir(exist_ok=True)
        tags = [f"{key}:{value}"[:MAX_TAG] for key, value in self.config.tracking.tags.items()]
        run = wandb.init(
            entity=entity or None,
            project=project,
            id=self._id(history),
            name=history.name,
            group=self.run.name,
            job_type="stage",
            dir=str(self.run.path),
            tags=tags,
            config=self.config.masked().model_dump(mode="json")
            | {"resolution": history.spec.resolution},
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(
                console="off", silent=True, x_disable_stats=True, init_timeout=INIT_SECONDS
            ),
        )
        run.define_metric("*", step_metric=STEP, step_sync=False)
        run.define_metric(GRIDS, step_metric=GRID_STEP, step_sync=False)
        if run.offline:
            return Session(run, history.lineage, self._kept(run.id))
        last_tick, last_grid = (int(run.summary.get(key) or 0) for key in (STEP, GRID_STEP))
        return Session(run, history.lineage, Kept(last_tick, last_grid, run.step))

    def _kept(self, run_id: str) -> Kept:
        """What is in the client's files of a W&B run."""
        kept = Kept()
        for file in self._folder.glob(f"*run-*/run-{run_id}.wandb"):
            for row in history_rows(file):
                kept.last_tick = max(kept.last_tick, _number(row, STEP))
                kept.last_grid = max(kept.last_grid, _number(row, GRID_STEP))
                kept.next_step = max(kept.next_step, _number(row, "_step") + 1)
        return kept

    def _close(self, session: Session, exit_code: int) -> None:
        """End a W&B run. Offline, the client writes the end of its file a little later."""
        session.run.finish(exit_code=exit_code)
        if session.run.offline:
            deadline = time.monotonic() + FLUSH_SECONDS
            while self._kept(session.run.id) != session.kept:
                if time.monotonic() > deadline:
                    raise TrackingError(f"W&B's client has not written all of {self._folder}")
                time.sleep(0.05)

    def _id(self, history: StageHistory) -> str:
        """The W&B run's id, different in each project: what one has been sent, another may lack."""
        whole = f"{run_key(self.run)} {self.config.tracking.wandb}"
        key = hashlib.sha256(whole.encode()).hexdigest()[:16]
        return f"{key}-{history.spec.resolution:04d}-{history.lineage.replace('.', '-')}"

    def _finish(self, session: Session, history: StageHistory, exit_code: int) -> None:
        """End a stage's run; when this returns, W&B has all of it."""
        self._close(session, exit_code)
        del self._sessions[history.spec.resolution]
        if history.is_done:
            ended = self._ended() | {self._id(history): session.kept.last_tick}
            write_whole(self._ended_file, json.dumps(ended, indent=2).encode())

    def _is_sent(self, history: StageHistory) -> bool:
        """Whether W&B has the whole of a finished stage, so that its run need not be opened."""
        until = self._ended().get(self._id(history))
        return history.is_done and until is not None and not history.ticks(until)

    @property
    def _ended_file(self) -> Path:
        return self._folder / "ended.json"

    def _ended(self) -> dict[str, int]:
        """images_seen with which W&B runs ended, by id; none if the file is damaged."""
        with suppress(OSError, ValueError):
            found = parse_json(self._ended_file.read_bytes())
            if isinstance(found, dict):
                return {key: int(value) for key, value in found.items()}
        return {}


def upload_hint(run: RunFolder) -> list[str]:
    """The command that uploads what is kept in the run's folder, if there is something."""
    kept = sorted((run.path / "wandb").glob("offline-run-*"))
    if not kept:
        return []
    return [f"wandb sync {shlex.quote(str(run.path / 'wandb'))}/offline-run-*"]


def _number(row: dict[str, str], key: str) -> int:
    return int(float(row.get(key, -1)))
