"""The orchestrator's event log: append-only lines from which the state is replayed."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from progan.stages.storage.json_lines import append_line, read_lines

Kind = Literal[
    "run_created",
    "config_changed",
    "data_changed",
    "stage_changed",
    "stage_started",
    "stage_finished",
    "stage_failed",
    "stage_crashed",
    "rolled_back",
    "stage_reopened",
    "stopped",
]


FIELDS: dict[str, dict[str, type]] = {
    "run_created": {"data_fingerprint": str},
    "data_changed": {"data_fingerprint": str},
    "stage_changed": {"resolution": int, "values": dict},
    "stage_started": {"resolution": int, "handle": str},
    "stage_finished": {"resolution": int},
    "stage_failed": {"resolution": int, "reason": str},
    "stage_reopened": {"resolution": int},
}
"""Fields that are read again, by kind of event"""


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
        append_line(self.path, {"time": time.time(), "event": kind} | fields)

    def events(self) -> list[Event]:
        """All events.

        A damaged one is left out (read_lines). That is safe: what a stage has done is read from its
        folder, and workers hold its lock, so that a lost start at worst is tried again.
        """
        return read_lines(self.path, _event)

    def stage(self, resolution: int) -> Event | None:
        """The newest event of a stage."""
        newest_first = reversed(self.events())
        return next((e for e in newest_first if e.fields.get("resolution") == resolution), None)

    def newest(self) -> Event | None:
        """The newest event of any stage."""
        return next((e for e in reversed(self.events()) if "resolution" in e.fields), None)


def _event(line: dict[str, Any]) -> Event:
    """The event of a line; raises as `read_lines` expects if it lacks a field."""
    moment, kind = float(line.pop("time")), line.pop("event")
    for name, type_ in FIELDS.get(kind, {}).items():
        if not isinstance(line[name], type_):
            raise TypeError(name)
    return Event(moment, kind, line)
