"""Events: only added, replayed, and a torn line never happened."""

from pathlib import Path

from progan.pipeline.run.events import EventLog


def test_the_last_event_of_a_stage_counts(tmp_path: Path) -> None:
    ledger = EventLog(tmp_path / "events.jsonl")
    ledger.append("stage_started", resolution=4, handle="1@2")
    ledger.append("stage_finished", resolution=4)
    ledger.append("stage_started", resolution=8, handle="3@4")
    with ledger.path.open("a") as file:
        file.write('{"time": 1, "event": "stage_fi')
    last = [ledger.stage(resolution) for resolution in (4, 8, 16)]
    assert [event and event.kind for event in last] == ["stage_finished", "stage_started", None]


def test_what_a_kill_cut_short_is_written_over(tmp_path: Path) -> None:
    ledger = EventLog(tmp_path / "events.jsonl")
    ledger.append("stage_started", resolution=4, handle="1@2")
    with ledger.path.open("a") as file:
        file.write('{"time": 1, "event": "stage_fi')
    ledger.append("stage_failed", resolution=4, reason="killed")
    assert [event.kind for event in ledger.events()] == ["stage_started", "stage_failed"]
