"""The background report: written by itself; its failure does not stop a run."""

import time
from pathlib import Path

import pytest

from drawn_run import draw_run
from progan.pipeline.report import background
from progan.pipeline.report.background import BackgroundReport
from progan.pipeline.run_folder import RunFolder

WORDS = ("growth.last=4", "growth.steady_kimg=0.1", "ticks.kimg=0.05", "ticks.grid=1")


def test_report_is_written_when_a_stage_is_finished_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "POLL_SECONDS", 0.01)
    run = draw_run(tmp_path / "run", *WORDS)
    report = BackgroundReport(run, [4])
    report.start()
    time.sleep(0.1)
    assert not run.report.exists()
    run.stage(4).final.mkdir()
    deadline = time.monotonic() + 30
    while not run.report.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.report.unlink()
    report.close()
    assert run.report.read_text().startswith("<!doctype html>")


def test_report_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report = BackgroundReport(RunFolder(tmp_path / "nothing"), [4])
    report.start()
    report.close()
    assert "the report could not be written" in caplog.text
