"""The orchestrator's event log: append-only lines from which the state is replayed."""

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
    """One line: time, kind and the fields of that kind."""

    time: float
    kind: str
    fields: dict[str, Any]


class EventLog:
    """events.jsonl of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, kind: Kind, **fields: Any) -> None:
        """Write one event; it is on the disk when this returns."""
        line = json.dumps({"time": time.time(), "event": kind} | fields)
        with self.path.open("ab") as file:
            if partial := self._partial_bytes():
                file.truncate(file.tell() - partial)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _partial_bytes(self) -> int:
        """Bytes after the last whole line; a kill during a write leaves some."""
        return len(self.path.read_bytes().rpartition(b"\n")[2])

    def events(self) -> list[Event]:
        """All events, without a partial last line."""
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines(True)
        parsed = [json.loads(line) for line in lines if line.endswith("\n")]
        return [Event(entry.pop("time"), entry.pop("event"), entry) for entry in parsed]

    def stage(self, resolution: int) -> Event | None:
        """The newest event of a stage."""
        newest_first = reversed(self.events())
        return next((e for e in newest_first if e.fields.get("resolution") == resolution), None)

    def newest(self) -> Event | None:
        """The newest event of any stage."""
        return next((e for e in reversed(self.events()) if "resolution" in e.fields), None)
