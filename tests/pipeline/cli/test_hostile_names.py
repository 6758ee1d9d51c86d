"""Every command with a run, a data set and classes whose names are markup or act on terminals."""

import json
import logging
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from drawn_run import draw_run
from networks import published
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.cli.main import main

BRACKETS = "faces [v2] [/x]"
"""The slash makes two folders of it."""
ESCAPES = "\x1b[31m:smile:\u202e"
SHOWN = r"\x1b[31m:smile:\u202e"


def run(*words: object) -> Result:
    """A command that ends in order, whatever its exit code is, and prints safe text only."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert not re.search("[\x1b\u202e]", result.output)
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, the folder of a run with a finished stage, and a model, all of such names."""
    folder = tmp_path_factory.mktemp("hostile")
    draw_dataset(folder / "pictures", num=30, size=8)
    for number, path in enumerate(sorted((folder / "pictures").iterdir())):
        path.rename(path.with_name(f"{number} [red] {ESCAPES}"))
    dataset = folder / f"{BRACKETS}{ESCAPES}"
    made = run("prepare", folder / "pictures", dataset, "--resolution", 8, "--workers", 1)
    assert made.exit_code == 0
    assert f"[v2] [/x]{SHOWN}: 30 pictures" in made.output
    drawn = draw_run(
        folder / BRACKETS / "run", f"data.path={folder / BRACKETS / 'x'}", "growth.last=8"
    )
    published(drawn.stage(4).final, resolution=4)
    return folder


def printed(*words: object) -> str:
    """What it printed, however lines were broken."""
    return " ".join(run(*words).output.split())


def test_data_sets_and_classes(folder: Path) -> None:
    dataset = folder / f"{BRACKETS}{ESCAPES}"
    info = printed("data", "info", dataset)
    assert f"[/x]{SHOWN}: 30 pictures" in info
    assert f"0 [red] {SHOWN} 5, 1 [red] {SHOWN} 5" in info
    assert json.loads(run("data", "info", dataset, "--json").stdout)["samples"] == 30
    assert f"[/x]{SHOWN} is whole" in printed("data", "verify", dataset)
    assert f"[/x]{SHOWN} at every" in printed("data", "preview", dataset, folder / "a.png")


@pytest.mark.parametrize(
    "words",
    [
        ["status", "{run}"],
        ["report", "{run}"],
        ["timelapse", "{run}", "{run}/[b].gif", "--seconds", "0.2", "--fps", "5"],
        ["export", "{run}", "{run}-[b]", "--stage", "8"],
        ["evaluate", "{run}"],
        ["resume", "{run}"],
        ["train", "demo", "data.path={run}", "--run", "{run}"],
        ["generate", "{run}/stages/0004/final", "{run}/[b].png", "--num", "2"],
        ["interpolate", "{run}/stages/0004/final", "{run}/[c].gif", "--seconds", "0.2"],
        ["import", "{run}/config.yaml", "{run}/out", "--from", "pro_gan_pytorch"],
        ["join", "{run}", "--patience", "0"],
    ],
    ids=lambda words: words[0],
)
def test_runs_and_models(folder: Path, words: list[str]) -> None:
    path = str(folder / BRACKETS / "run")
    output = run(*(word.format(run=path) for word in words)).output
    assert "faces [v2] [/x]" in " ".join(output.split())


def test_credentials_in_what_was_typed_are_not_repeated() -> None:
    result = run("plan", "demo", "data.path=[https://me:s3cr3t@host/x")
    assert result.exit_code == 2
    assert "https://***@host/x" in result.output and "s3cr3t" not in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "{}"],
        ["plan", "demo", "{}"],
        ["plan", "demo", "{}=1"],
        ["plan", "demo", "data.path={}"],
        ["train", "demo", "--run", "{}"],
        ["status", "{}"],
        ["evaluate", "nowhere", "--metrics", "{}"],
        ["generate", "{}", "a.png"],
        ["generate", "nowhere", "a.png", "--seeds", "{}"],
        ["data", "info", "{}"],
        ["prepare", "{}", "out", "--resolution", "8"],
        ["{}"],
        ["--{}"],
        ["doctor", "{}"],
    ],
)
def test_what_was_typed_wrong_is_repeated_as_text(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*(word.format(f"[/x] {ESCAPES}") for word in words))
    assert result.exit_code in (2, 3)
    assert re.search(rf"{re.escape(SHOWN)}|no text|control characters", result.output)
    assert os.listdir(tmp_path) == []


def test_warnings_repeat_what_a_server_answered_as_text() -> None:
    run("status", "nowhere")  # any command
    assert logging.lastResort is not None
    record = logging.LogRecord("x", logging.WARNING, "x", 1, "it said %s", (ESCAPES,), None)
    assert logging.lastResort.format(record) == f"it said {SHOWN}"
