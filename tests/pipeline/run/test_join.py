"""`progan join` ends as the run ends that it takes part in."""

from pathlib import Path
from threading import Timer

import pytest

from progan.pipeline.errors import RunError, StoppedError
from progan.pipeline.run.events import EventLog, Kind
from progan.pipeline.run.join import join


@pytest.mark.parametrize(
    ("kind", "expected", "message"),
    [("stopped", StoppedError, "stopped"), ("stage_failed", RunError, "no disk")],
)
def test_join_ends_as_the_run_does(
    tmp_path: Path, kind: Kind, expected: type[Exception], message: str
) -> None:
    event_log = EventLog(tmp_path / "events.jsonl")
    timer = Timer(0.6, lambda: event_log.append(kind, resolution=4, reason="no disk"))
    timer.start()
    with pytest.raises(expected, match=message):
        join(tmp_path, patience_minutes=1)
    timer.join()


def test_join_ignores_earlier_ends(tmp_path: Path) -> None:
    EventLog(tmp_path / "events.jsonl").append("stopped", resolution=4)
    with pytest.raises(RunError, match="no stage was started within 0.01 minutes"):
        join(tmp_path, patience_minutes=0.01)
