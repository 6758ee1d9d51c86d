"""The progress line of a stage, and the time left of the run."""

from pathlib import Path

import pytest

from progan.pipeline.run.progress_display import Countdown, Display, describe
from progan.pipeline.run.time_left import TimeLeft
from workers import spec

PROGRESS = {"phase": "steady", "alpha": 1.0, "images_seen": 240, "images_per_second": 24.0}
DAY = 24 * 3600.0


def test_stage_that_has_shown_all_images_says_what_it_still_does(shapes: Path) -> None:
    stage = spec(shapes)
    assert describe(stage, None, None) == "starting"
    line = "steady   alpha 1.00  0.2/0.5 kimg  24 images/s  run: "
    assert describe(stage, PROGRESS, None) == f"{line}time left unknown"
    assert describe(stage, PROGRESS, 4000.0) == f"{line}about 1 h 7 min left"
    shown = PROGRESS | {"phase": "done", "images_seen": 480, "images_per_second": 0.0}
    assert describe(stage, shown, 9.0) == "0.5 kimg shown; measures and writes its networks"


def test_time_left_counts_down_between_two_computations(monkeypatch: pytest.MonkeyPatch) -> None:
    now, computed = [1000.0], [TimeLeft({4: 60.0, 8: 40.0}, on_gpus=False, by_steps=True)]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    countdown = Countdown(lambda: computed.pop() if computed else None)
    assert countdown.seconds() == 100
    now[0] += 9
    assert countdown.seconds() == 91
    now[0] += 9
    assert countdown.seconds() is None, "computed again, and not known any more"


@pytest.mark.parametrize(("days", "on_gpus", "warnings"), [(3, False, 1), (0.5, False, 0),
                                                           (3, True, 0)])  # fmt: skip
def test_days_on_a_cpu_are_warned_of_once(
    days: float, on_gpus: bool, warnings: int, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = TimeLeft({8: days * DAY}, on_gpus=on_gpus, by_steps=False)
    with Display([spec(shapes)], lambda: found) as display:
        for _ in range(3):
            display.stage_at(spec(shapes), PROGRESS)
    said = capsys.readouterr().err
    assert said.count("on this machine's CPUs") == warnings
    assert "8x8 steady" in said and "left" in said


def test_line_is_not_repeated(
    shapes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("progan.pipeline.run.progress_display.LINE_SECONDS", 0)
    with Display([spec(shapes)], lambda: None) as display:
        for progress in (None, None, PROGRESS, PROGRESS):
            display.stage_at(spec(shapes), progress)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "starting" in lines[0] and "steady" in lines[1]
