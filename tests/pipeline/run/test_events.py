"""The event log: append-only, replayed, without partial lines."""

from pathlib import Path

from progan.pipeline.run.events import EventLog


def test_newest_event_of_a_stage_is_its_state(tmp_path: Path) -> None:
    event_log = EventLog(tmp_path / "events.jsonl")
    event_log.append("stage_started", resolution=4, handle="1@2")
    event_log.append("stage_finished", resolution=4)
    event_log.append("stage_started", resolution=8, handle="3@4")
    with event_log.path.open("a") as file:
        file.write('{"time": 1, "event": "stage_fi')
    last = [event_log.stage(resolution) for resolution in (4, 8, 16)]
    assert [event and event.kind for event in last] == ["stage_finished", "stage_started", None]


def test_partial_line_is_overwritten(tmp_path: Path) -> None:
    event_log = EventLog(tmp_path / "events.jsonl")
    event_log.append("stage_started", resolution=4, handle="1@2")
    with event_log.path.open("a") as file:
        file.write('{"time": 1, "event": "stage_fi')
    event_log.append("stage_failed", resolution=4, reason="killed")
    assert [event.kind for event in event_log.events()] == ["stage_started", "stage_failed"]
