"""TensorBoard's event files: records with checksums; readers leave out a truncated one."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from progan.pipeline.tracking.queue.grids import png_bytes

PREFIX = "events.out.tfevents"
REALS = "reals"
"""The tag of the grid of real pictures"""


@dataclass
class Recorded:
    """What a stage's event files hold."""

    last_tick: int = 0
    """images_seen of the last scalars"""
    last_grid: int = 0
    """images_seen of the last sample grid"""
    has_reals: bool = False


class EventFile:
    """A new event file of a stage. TensorBoard reads all files of a folder, in order of names."""

    def __init__(self, folder: Path, lineage: str, recorded: Recorded) -> None:
        """`lineage`: the stage's (StageHistory), with which the file's name ends."""
        self.lineage = lineage
        self.last_tick = recorded.last_tick
        self.last_grid = recorded.last_grid
        self.has_reals = recorded.has_reals
        self._folder = folder
        self._writer: Any | None = None

    def add(self, event: Any) -> None:
        """Write one event; it is on the disk after `flush`."""
        if self._writer is None:
            self._writer = self._open()
        self._writer.write(event.SerializeToString())

    def flush(self) -> None:
        """Give what was added to the operating system."""
        if self._writer:
            self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        writer, self._writer = self._writer, None
        if writer:
            with suppress(OSError):  # what `flush` could not write: it is read as not recorded
                writer.close()

    def _open(self) -> Any:
        """A file with the version that begins every event file."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._folder.mkdir(parents=True, exist_ok=True)
        host = socket.gethostname()
        # Nanoseconds: several may be opened in one second. TensorBoard sorts by this name.
        stamp = f"{time.time_ns():019d}"
        name = f"{PREFIX}.{stamp[:10]}.{stamp[10:]}.{host}.{os.getpid()}{_suffix(self.lineage)}"
        writer = RecordWriter((self._folder / name).open("xb"))
        first = Event(wall_time=time.time(), file_version="brain.Event:2")
        writer.write(first.SerializeToString())
        return writer


def scalars_event(values: dict[str, float], step: int, wall_time: float) -> Any:
    """All scalars of a tick as one event, which is read as a whole or not at all."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    summary = Summary(value=[Summary.Value(tag=k, simple_value=v) for k, v in values.items()])
    return Event(wall_time=wall_time, step=step, summary=summary)


def image_event(tag: str, image: Image.Image, step: int) -> Any:
    """A picture as one event."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    encoded = Summary.Image(
        height=image.height,
        width=image.width,
        colorspace=len(image.getbands()),
        encoded_image_string=png_bytes(image),
    )
    summary = Summary(value=[Summary.Value(tag=tag, image=encoded)])
    return Event(wall_time=time.time(), step=step, summary=summary)


def recorded(folder: Path, lineage: str) -> Recorded:
    """What a stage's event files of a lineage hold."""
    found = Recorded()
    for file in sorted(folder.glob(f"{PREFIX}.*{_suffix(lineage)}")):
        for event in _events(file):
            for value in event.summary.value:
                kind = value.WhichOneof("value")
                if value.tag == REALS:
                    found.has_reals = True
                elif kind == "image":
                    found.last_grid = max(found.last_grid, event.step)
                else:
                    found.last_tick = max(found.last_tick, event.step)
    return found


def discard_others(folder: Path, lineage: str) -> None:
    """Remove a stage's event files of other lineages."""
    for file in folder.glob(f"{PREFIX}.*"):
        if not file.name.endswith(_suffix(lineage)):
            file.unlink()


def _events(file: Path) -> Iterator[Any]:
    """The events of a file up to the first damaged one."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    yield from LegacyEventFileLoader(str(file)).Load()


def _suffix(lineage: str) -> str:
    return f".history-{lineage}"
