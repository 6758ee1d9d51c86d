"""The commands `progan presets` and `progan config`, and the import name."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import progan
from progan.pipeline.cli.main import main
from progan.pipeline.config.preset_list import purpose
from progan.pipeline.config.schema import PRESETS, load_config, presets


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_list_of_presets_says_what_each_is_for() -> None:
    found = json.loads(run("presets", "--json").output)["presets"]
    assert [preset["name"] for preset in found] == presets()
    assert all(preset["purpose"] for preset in found)
    cifar = next(preset for preset in found if preset["name"] == "cifar10-32")
    assert (cifar["resolutions"], cifar["loss"]) == ([4, 8, 16, 32], "wgan")


def test_preset_is_printed_as_it_is() -> None:
    assert run("presets", "lsgan").output == (PRESETS / "lsgan.yaml").read_text()


def test_unknown_preset_is_corrected() -> None:
    result = run("presets", "lsgn")
    assert result.exit_code == 2 and "did you mean lsgan?" in result.stderr


def test_purpose_is_the_first_sentence_of_the_heading() -> None:
    assert purpose("# A GAN (One et al. 2017) that\n# grows. Further.\nseed: 0 # x\n# y") == (
        "A GAN (One et al. 2017) that grows"
    )


def test_config_can_be_trained_from(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(run("config", "demo", "growth.last=16").stdout)
    assert load_config(str(tmp_path / "mine.yaml")) == load_config("demo", ("growth.last=16",))


def test_config_prints_no_value_of_an_environment_variable() -> None:
    result = run("config", "demo", "launch.env.TOKEN=abcdef")
    assert "abcdef" not in result.output
    assert "TOKEN: '***'" in result.stdout and "launch.env" in result.stderr


def test_schema_is_json() -> None:
    assert "growth" in json.loads(run("config", "--schema").stdout)["properties"]


@pytest.mark.parametrize(
    "words", [("config",), ("config", "demo", "--schema"), ("presets", "demo", "--json")]
)
def test_words_that_do_not_fit_are_wrong_usage(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_module_is_the_command() -> None:
    argv = [sys.executable, "-m", "progan", "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == f"progan, version {progan.__version__}\n"


def test_other_systems_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    result = run("presets")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "Linux only" in result.stderr
