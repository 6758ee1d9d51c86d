"""A run's events in words, each with its time and the images shown by then."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from progan.pipeline.report.document import LoggedEvent
from progan.pipeline.run.events import Event

TITLES = {
    "run_created": ("start", "Run created"),
    "config_changed": ("change", "Configuration changed"),
    "data_changed": ("change", "Data set changed"),
    "stage_changed": ("change", "Stage changed"),
    "stage_started": ("start", "Stage started"),
    "stage_finished": ("finish", "Stage finished"),
    "stage_failed": ("trouble", "Stage failed"),
    "stage_crashed": ("trouble", "Stage crashed"),
    "rolled_back": ("trouble", "Rolled back"),
    "stage_reopened": ("change", "Stage re-opened"),
    "stopped": ("stop", "Stopped on request"),
}

PLACED_BY_NEXT = ("stage_started", "stopped")
"""Kinds of events whose place is that of the next record: workers start where they stopped"""

Clock = Sequence[tuple[float, int]]
"""Times, ascending, and the images that the run had shown by then"""


def logged_events(events: Sequence[Event], clocks: Mapping[int, Clock]) -> tuple[LoggedEvent, ...]:
    """Every event, oldest first. clocks: of the stages, by resolution."""
    started: set[int] = set()
    logged = []
    for event in events:
        resolution = event.fields.get("resolution")
        kind, title = TITLES.get(event.kind, ("change", event.kind.replace("_", " ").capitalize()))
        if event.kind == "stage_started" and resolution is not None:
            title = "Stage started again" if resolution in started else title
            started.add(resolution)
        logged.append(
            LoggedEvent(
                time=event.time,
                kind=kind,
                title=title,
                text=_text(event.fields),
                resolution=resolution,
                at=_images_by(clocks.get(resolution), event) if resolution else None,
            )
        )
    return tuple(logged)


def _images_by(clock: Clock | None, event: Event) -> int | None:
    """Images shown by then, from the records of ticks and starts."""
    if not clock:
        return None
    later = bisect_right(clock, event.time, key=lambda entry: entry[0])
    if event.kind in PLACED_BY_NEXT and later < len(clock):
        return clock[later][1]
    return clock[max(0, later - 1)][1]


def _text(fields: Mapping[str, Any]) -> str:
    """The reason, or the changed keys."""
    return str(fields["reason"]) if "reason" in fields else "\n".join(fields.get("changes", []))
