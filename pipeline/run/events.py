"""What the orchestrator did, as lines that are only ever added; the state is their replay."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal[
    "run_created",
    "config_changed",
    "stage_started",
    "stage_finished",
    "stage_failed",
    "stage_crashed",
    "rolled_back",
    "stage_reopened",
    "stopped",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One line: when, what, and whatever belongs to it."""

    time: float
    kind: str
    fields: dict[str, Any]


class EventLog:
    """events.jsonl of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, kind: Kind, **fields: Any) -> None:
        """Write one event, on the disk when this returns."""
        line = json.dumps({"time": time.time(), "event": kind} | fields)
        with self.path.open("ab") as file:
            if cut_short := self._bytes_of_last_line():
                file.truncate(file.tell() - cut_short)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _bytes_of_last_line(self) -> int:
        """Of what stands after the last whole line: only a kill while it was written leaves it."""
        return len(self.path.read_bytes().rpartition(b"\n")[2])

    def events(self) -> list[Event]:
        """All events; a last line cut short by a kill never happened."""
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines(True)
        parsed = [json.loads(line) for line in lines if line.endswith("\n")]
        return [Event(entry.pop("time"), entry.pop("event"), entry) for entry in parsed]

    def stage(self, resolution: int) -> Event | None:
        """The last thing that happened to a stage."""
        newest_first = reversed(self.events())
        return next((e for e in newest_first if e.fields.get("resolution") == resolution), None)

    def newest(self) -> Event | None:
        """The last thing that happened to any stage."""
        return next((e for e in reversed(self.events()) if "resolution" in e.fields), None)
