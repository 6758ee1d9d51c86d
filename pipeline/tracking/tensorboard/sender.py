"""Writes a run as TensorBoard's event files, for `tensorboard --logdir RUN/tensorboard`."""

from collections.abc import Sequence
from pathlib import Path

from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.queue.destination import Status
from progan.pipeline.tracking.queue.grids import new_grids, tracked_grid
from progan.pipeline.tracking.queue.history import StageHistory, histories, scalars
from progan.pipeline.tracking.tensorboard.event_files import (
    REALS,
    EventFile,
    discard_others,
    image_event,
    recorded,
    scalars_event,
)
from progan.stages.specs.stage import StageSpec

FOLDER = "tensorboard"


class TensorBoardSender:
    """Keeps RUN/tensorboard/0064 up to date for each stage, with images_seen as the step.

    What has been written is read from the event files themselves. When a stage is rolled back or
    re-opened, its event files are replaced.
    """

    title = "TensorBoard"
    target = "tensorboard"

    def __init__(self, run: RunFolder, specs: Sequence[StageSpec]) -> None:
        self.run = run
        self.specs = specs
        self._files: dict[int, EventFile] = {}
        """The file that each stage's events are added to"""

    def send(self) -> None:
        """Write what is new."""
        for history in histories(self.run, self.specs):
            self._send_stage(history)

    def end(self, status: Status) -> None:
        """Write what is new, and close the files."""
        self.send()
        self.forget()

    def forget(self) -> None:
        """Close the files; the next call reads what they hold."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def abandon(self) -> None:
        """Nothing: files are closed with the process."""

    def _send_stage(self, history: StageHistory) -> None:
        file = self._file(history)
        for tick in history.ticks(file.last_tick):
            file.add(scalars_event(scalars(tick), tick["images_seen"], tick["time"]))
            file.last_tick = tick["images_seen"]
        for images_seen, grid in new_grids(history, file.last_grid):
            file.add(image_event("samples", grid, images_seen))
            file.last_grid = images_seen
        if not file.has_reals and history.folder.reals.exists():
            if reals := tracked_grid(history.folder.reals):
                file.add(image_event(REALS, reals, 0))
            file.has_reals = True
        file.flush()

    def _file(self, history: StageHistory) -> EventFile:
        """The stage's open file, which knows what all of its files hold."""
        file = self._files.get(history.spec.resolution)
        if file and file.lineage == history.lineage:
            return file
        if file:
            file.close()
        folder = self._folder(history)
        discard_others(folder, history.lineage)
        file = EventFile(folder, history.lineage, recorded(folder, history.lineage))
        self._files[history.spec.resolution] = file
        return file

    def _folder(self, history: StageHistory) -> Path:
        return self.run.path / FOLDER / f"{history.spec.resolution:04d}"
