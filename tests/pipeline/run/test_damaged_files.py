"""A damaged file of a run is named in a line or two; a log loses only its damaged lines."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from drawn_run import draw_run
from progan.pipeline.cli.main import main
from progan.pipeline.errors import ConfigError
from progan.pipeline.run.beginning.adoption import begun_stages
from progan.pipeline.run_folder import RunFolder, frozen_config
from progan.stages.errors import StageError

COMMANDS = {
    "status": ["status", "RUN"],
    "report": ["report", "RUN"],
    "timelapse": ["timelapse", "RUN", "OUT.gif", "--seconds", "1", "--fps", "2"],
    "evaluate": ["evaluate", "RUN"],
    "export": ["export", "RUN", "OUT"],
    "generate": ["generate", "RUN/stages/0004/final", "OUT.png"],
    "resume": ["resume", "RUN"],
    "train": ["train", "demo", "growth.last=4", "--run", "RUN"],
}
OF_STAGE = ("spec.json", "metrics.jsonl", "starts.jsonl", "progress.json", "evaluation.json",
             "rollbacks.json", "final/manifest.json",
             "checkpoints/000000100/state.json")  # fmt: skip
FILES = ("config.yaml", "events.jsonl", "machine.jsonl", *(f"stages/0004/{n}" for n in OF_STAGE))
LOGS = [name for name in FILES if name.endswith("jsonl")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ("growth.last=4", "growth.steady_kimg=0.3", "ticks.kimg=0.1", "ticks.grid=1")
    return draw_run(tmp_path_factory.mktemp("damaged") / "run", *words).path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(whole, tmp_path / "run")))


def damaged(content: bytes, how: str) -> bytes:
    middle = len(content) // 2
    return {
        "empty": b"",
        "half": content[:middle],
        "a byte": content[:middle] + b"\xff" + content[middle:],
        "zeros": content[:middle] + bytes(512) + content[middle + 512 :],
        "other keys": b'{"a": 1}\n',
        "no object": b"[1]\n",
    }[how]


@pytest.mark.parametrize("how", ["empty", "half", "a byte", "zeros", "other keys", "no object"])
@pytest.mark.parametrize("name", FILES)
def test_no_command_ends_in_a_traceback(name: str, how: str, run: RunFolder) -> None:
    file = run.path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(damaged(file.read_bytes() if file.exists() else b'{"a": [1]}\n' * 9, how))
    for command, words in COMMANDS.items():
        words = [
            word.replace("RUN", str(run.path)).replace("OUT", f"{run.path}-out") for word in words
        ]
        result = CliRunner().invoke(main, words)
        assert result.exception is None or isinstance(result.exception, SystemExit), command
        assert result.output.count("\n") < 40
        if name in LOGS and command in ("report", "status"):
            assert result.exit_code == 0, result.output


@pytest.mark.parametrize("how", ["half", "a byte", "zeros"])
def test_damaged_configuration_says_what_can_be_done(how: str, run: RunFolder) -> None:
    run.config.write_bytes(damaged(run.config.read_bytes(), how))
    if how == "half":  # of valid YAML is valid YAML, or ends within a word
        run.config.write_bytes(run.config.read_bytes() + b"\n  : [")
    with pytest.raises(ConfigError, match=f"(?s){run.config}.*progan train CONFIG --run"):
        frozen_config(run)


def test_damaged_spec_is_named(run: RunFolder) -> None:
    run.stage(4).spec.write_bytes(b'{"resolution": 4')
    with pytest.raises(StageError, match=r"spec\.json is damaged, or another version"):
        begun_stages(run)
