"""What a run says when it ends, and the command it calls."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from drawn_run import draw_run
from progan.pipeline.report.page import write_report
from progan.pipeline.run import ending
from progan.pipeline.run.ending import call_hook, last_lines
from progan.pipeline.run_folder import RunFolder

WORDS = ("growth.last=8", "growth.steady_kimg=0.1", "growth.fade_kimg=0.1", "ticks.kimg=0.05",
         "ticks.grid=1")  # fmt: skip


def test_last_lines_say_where_everything_is_and_what_comes_next(tmp_path: Path) -> None:
    run = draw_run(tmp_path / "my run", *WORDS)
    write_report(run)
    page = SimpleNamespace(url="http://host/#/runs/1", command="mlflow ui")
    assert last_lines(run, "stopped", page) == [
        f"run:      {run.path}: stopped, 0 of 2 stages done",
        f"report:   {run.report}",
        "MLflow:   http://host/#/runs/1 (start mlflow ui)",
        f"pictures: {run.stage(8).fakes(200)}",
        f"next:     progan resume '{run.path}'",
    ]


def test_what_there_is_not_yet_is_left_out(tmp_path: Path) -> None:
    run = draw_run(tmp_path / "run", *WORDS, until=(4, 0))
    assert [line.split()[0] for line in last_lines(run, "failed")] == ["run:", "next:"]


def test_hook_is_told_what_happened(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    call_hook(
        f'echo "$PROGAN_OUTCOME: $PROGAN_REASON" > {heard}', RunFolder(tmp_path), "failed", "x"
    )
    assert heard.read_text() == "failed: x\n"


@pytest.mark.parametrize(
    ("command", "said"), [("exit 3", "exit code 3"), ("sleep 9", "not done after 0 s")]
)
def test_hook_that_fails_or_hangs_is_a_warning(
    command: str,
    said: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending, "HOOK_SECONDS", 0.2)
    call_hook(command, RunFolder(tmp_path), "finished")
    assert f"hooks.on_end: {said}" in caplog.text
