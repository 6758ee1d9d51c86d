"""The event_log in words: what happened to a run, when, and how far it was."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from progan.pipeline.report.document import LoggedEvent
from progan.pipeline.run.events import Event

WORDS = {
    "run_created": ("start", "Run created"),
    "config_changed": ("change", "Configuration changed"),
    "stage_started": ("start", "Stage started"),
    "stage_finished": ("finish", "Stage finished"),
    "stage_failed": ("trouble", "Stage failed"),
    "stage_crashed": ("trouble", "Stage crashed"),
    "rolled_back": ("trouble", "Rolled back"),
    "stage_reopened": ("change", "Stage re-opened"),
    "stopped": ("stop", "Stopped on request"),
}

SAID_LATER = ("stage_started", "stopped")
"""Where these were is what the workers say next: they begin where they stopped"""

Clock = Sequence[tuple[float, int]]
"""Time, and images of the run shown by then; rising"""


def logged_events(events: Sequence[Event], clocks: Mapping[int, Clock]) -> tuple[LoggedEvent, ...]:
    """Every event, oldest first. clocks: of every stage that has begun."""
    started: set[int] = set()
    told = []
    for event in events:
        resolution = event.fields.get("resolution")
        kind, title = WORDS.get(event.kind, ("change", event.kind.replace("_", " ").capitalize()))
        if event.kind == "stage_started" and resolution is not None:
            title = "Stage started again" if resolution in started else title
            started.add(resolution)
        told.append(
            LoggedEvent(
                time=event.time,
                kind=kind,
                title=title,
                text=_text(event.fields),
                resolution=resolution,
                at=_images_by(clocks.get(resolution), event) if resolution else None,
            )
        )
    return tuple(told)


def _images_by(clock: Clock | None, event: Event) -> int | None:
    """Images shown by then, as far as ticks and starts tell."""
    if not clock:
        return None
    later = bisect_right(clock, event.time, key=lambda entry: entry[0])
    if event.kind in SAID_LATER and later < len(clock):
        return clock[later][1]
    return clock[max(0, later - 1)][1]


def _text(fields: Mapping[str, Any]) -> str:
    """Why, or what was changed."""
    return str(fields["reason"]) if "reason" in fields else "\n".join(fields.get("changes", []))
