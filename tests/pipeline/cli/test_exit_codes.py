"""Exit codes, and errors in one line: 1 failed, 2 wrong usage or configuration, 3 bad data."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from drawn_run import draw_run
from networks import published
from progan.pipeline.cli.main import main
from workers import BIN

NO_RUN = "nowhere is no run"
NO_MODEL = "nowhere is no exported generator"
NO_DATA = "nowhere does not exist: make one with: progan prepare"
NOT_STARTED = "growth.last=8", "data.path=nowhere"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, or one with these files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def files(here: Path) -> None:
    """Files that are no configuration."""
    Path("folder.yaml").mkdir()
    Path("binary.yaml").write_bytes(b"\x89PNG\0\xff")
    Path("latin.yaml").write_bytes("seed: 1  # größer".encode("latin-1"))
    Path("list.yaml").write_text("- 1\n")
    Path("date.yaml").write_text("seed: 2026-99-99\n")
    Path("deep.yaml").write_text("seed: " + "[" * 1200)
    Path("twice.yaml").write_text("seed: 1\nseed: 2\n")


def ended(words: list[str]) -> Result:
    return CliRunner().invoke(main, words)


def assert_one_line(result: Result, code: int, text: str) -> None:
    assert isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("progan: ") and text in line


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("train demo growth.lst=8", "did you mean growth.last?"),
        ("train demo foo-bar=8", "foo-bar: unknown key"),
        ("train demo seed=x", "seed: input should be a valid integer"),
        ("train demo seed={", "seed: '{' is not a YAML value"),
        ("train demo batch=6", "batch.4: 6 images cannot be shared out"),
        ("train demo growth.²=6", "growth.²: unknown key"),
        ("plan demo launch.gpus_per_node=5", "over 5 ranks"),
        ("train demo --detach", "--detach: only Slurm"),
        ("plan demo launch.backend=slurm", "launch: nodes: the slurm backend needs it"),
        ("plan dmeo", "no file and no preset is named dmeo, did you mean demo?"),
        ("plan nowhere", "no file and no preset is named nowhere; presets: began-64"),
        ("train demo data.path=nowhere", NO_DATA),
        ("train demo launch.backend=ssh launch.hostfile=nowhere", "nowhere: No such file"),
        ("train demo model.init=nowhere", NO_MODEL),
        ("status nowhere", NO_RUN),
        ("status nowhere --json", NO_RUN),
        ("report nowhere", NO_RUN),
        ("resume nowhere", NO_RUN),
        ("join nowhere --patience 0", NO_RUN),
        ("export nowhere out", "nowhere is neither a run"),
        ("evaluate nowhere", NO_RUN),
        ("timelapse nowhere a.gif", NO_RUN),
        ("generate nowhere grid.png", NO_MODEL),
        ("generate nowhere x.txt", "x.txt: a grid is written as .png"),
        ("interpolate nowhere a.gif", NO_MODEL),
        ("interpolate nowhere x.txt", "the name must end in .gif or .mp4"),
        ("import nowhere out --from tensorflow", "nowhere is not there"),
        ("data info nowhere", NO_DATA),
        ("data info .", "holds no finished data set"),
        ("data verify nowhere", NO_DATA),
        ("data preview nowhere", NO_DATA),
        ("prepare nowhere out --resolution 8", "nowhere does not exist: give a folder"),
        ("data preview nowhere x.txt", "x.txt: the picture is written as .png"),
    ],
)
def test_what_is_not_there_or_wrong_ends_with_2(words: str, text: str, here: Path) -> None:
    assert_one_line(ended(words.split(" ")), 2, text)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("folder.yaml", "folder.yaml is a folder; a configuration is a YAML file"),
        ("binary.yaml", "binary.yaml: byte 0 is not UTF-8"),
        ("latin.yaml", "latin.yaml: byte 13 is not UTF-8"),
        ("list.yaml", "list.yaml: must be a map"),
        ("date.yaml", "date.yaml: month must be in 1..12"),
        ("deep.yaml", "deep.yaml: is nested too deeply"),
        ("twice.yaml", 'found duplicate key "seed"'),
        ("demo --run list.yaml", "list.yaml is a file, and a run is a folder"),
        ("demo --run list.yaml/x", "list.yaml is a file, and a run is a folder"),
    ],
)
def test_files_that_are_none_end_with_2(files: None, words: str, text: str) -> None:
    assert_one_line(ended(["train", *words.split()]), 2, text)


@pytest.mark.parametrize(
    ("words", "file"),
    [("plan locked.yaml", "locked.yaml"), ("status run", "run/config.yaml")],
)
def test_files_that_may_not_be_read_end_with_2(words: str, file: str, here: Path) -> None:
    Path("run").mkdir()
    for name in ("locked.yaml", "run/config.yaml"):
        Path(name).touch(mode=0o000)
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if not os.geteuid() else []
    result = subprocess.run(
        [*unprivileged, BIN / "progan", *words.split()], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("progan: ") and line.endswith(f"{file}: Permission denied")


@pytest.mark.parametrize(
    "words",
    ["frain", "plan", "evaluate . --metrics swd,ssim", "status . --json --watch", "train demo --x",
     "prepare . out --resolution 48", "generate a b.png --num 2 --seeds 3"],
)  # fmt: skip
def test_wrong_usage_ends_with_2(words: str) -> None:
    assert ended(words.split()).exit_code == 2


@pytest.mark.parametrize(
    "words",
    ["train demo --run {}", "generate model {}", "timelapse run {}", "train demo model.init={}"],
)  # fmt: skip
def test_output_is_not_written_to_urls(words: str, here: Path) -> None:
    result = ended(words.format("s3://bucket/x").split())
    assert result.exit_code == 2
    assert "s3://bucket/x is a URL, and this must" in " ".join(result.stderr.split())
    assert list(here.iterdir()) == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, shapes: Path) -> Path:
    """A run whose stage 4 is finished, and 8 not."""
    words = "growth.last=8", f"data.path={shapes}"
    folder = draw_run(tmp_path_factory.mktemp("codes") / "run", *words)
    published(folder.stage(4).final, resolution=4)
    return folder.path


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("export {run} out --stage 8", 1, "stage 8 of {run} is not finished"),
        ("export {run} out --stage 16", 2, "--stage 16: the run's stages are [4, 8]"),
        ("evaluate {run} --stage 16", 2, "--stage 16: the run's stages are [4, 8]"),
        ("resume {run} --stage 16", 2, "--stage 16: the run's stages are [4, 8]"),
        ("evaluate {run} --at 2", 2, "--at 2: stage 4 draws larger pictures"),
        ("evaluate {run} --metrics swd", 1, "is not the data set that the run was trained with"),
        ("join {run} --patience 0", 1, "no stage was started within 0 minutes"),
        ("train demo data.path={run}", 2, "{run} holds no finished data set"),
    ],
)
def test_a_run_that_has_not_what_was_asked_for(run: Path, words: str, code: int, text: str) -> None:
    result = ended([word.format(run=run) for word in words.split()])
    assert_one_line(result, code, text.format(run=run))


@pytest.mark.parametrize(
    ("left_out", "text"),
    [
        ({"swd": "too small"}, "nothing was measured: swd: too small"),
        ({}, "nothing was measured: no metric is named"),
    ],
)
def test_nothing_measured_is_a_failure(
    run: Path, left_out: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = {"resolution": 4, "images_seen": 9, "results": [], "left_out": left_out}

    def nothing(*arguments: Any) -> dict[str, Any]:
        return {"run": str(run), "stages": [stage]}

    monkeypatch.setattr("progan.pipeline.evaluate.evaluate", nothing)
    result = ended(["evaluate", str(run)])
    assert result.exit_code == 1
    assert text in result.stderr


def test_removed_working_directory_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert_one_line(ended(["plan", "demo"]), 1, "the working directory has been removed")
