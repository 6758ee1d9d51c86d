"""What the shell completes."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete

from progan.pipeline.cli.completion import keys
from progan.pipeline.cli.main import main
from progan.pipeline.config.schema import load_config, presets


def completed(*words: str) -> list[CompletionItem]:
    """What the last word can become."""
    *before, incomplete = words
    shell = ShellComplete(main, {}, "progan", "_PROGAN_COMPLETE")
    return shell.get_completions(list(before), incomplete)


def values(*words: str) -> list[str]:
    return [item.value for item in completed(*words)]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_presets_and_yaml_files_are_configs() -> None:
    Path("recipe.yaml").touch()
    assert values("train", "rec") == [
        "recommended-1024", "recommended-256", "recommended-32", "recipe.yaml"
    ]  # fmt: skip
    assert values("presets", "ls") == ["lsgan"]
    assert [item.type for item in completed("plan", "x/y")] == ["file"]


def test_keys_are_those_of_the_configs_kinds() -> None:
    assert values("plan", "demo", "objective.penalties.0.t") == ["objective.penalties.0.target="]
    assert values("plan", "began-64", "objective.loss.g") == ["objective.loss.gamma="]
    (key,) = completed("train", "demo", "growth.first=8", "model.lat")
    assert (key.value, key.help) == ("model.latent=", "Size of the latent vector.")


@pytest.mark.parametrize("name", presets())
def test_every_key_has_an_explanation(name: str) -> None:
    config = load_config(name, ("augment=ada", "objective.replay.size=500"))
    assert [key for key, text in keys(config, "") if not text and not key.endswith(".kind")] == []


def test_keys_of_a_run_are_those_of_its_configuration() -> None:
    Path("runs/a").mkdir(parents=True)
    Path("runs/a/config.yaml").write_text(
        "data: {path: x}\nbatch: 8\nobjective: {loss: {kind: fgan, divergence: kl}}\n"
    )
    assert values("resume", "runs/a", "objective.loss.d") == ["objective.loss.divergence="]


def test_runs_are_folders_with_a_configuration() -> None:
    for name in ("runs/a", "runs/b", "elsewhere/c", "runs/other"):
        Path(name).mkdir(parents=True)
        if name != "runs/other":
            Path(name, "config.yaml").touch()
    assert values("status", "") == ["runs/a", "runs/b"]
    assert values("export", "elsewhere/") == ["elsewhere/c"]
    assert [item.type for item in completed("report", "none/")] == ["dir"]


def test_bash_completes_a_key_without_a_space() -> None:
    progan = Path(sys.executable).with_name("progan")
    script = f"""
        PATH={progan.parent}:$PATH
        compopt() {{ echo "$@"; }}
        eval "$(_PROGAN_COMPLETE=bash_source progan)"
        COMP_WORDS=(progan train demo model.lat) COMP_CWORD=3
        _progan_completion progan
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["-o nospace", "model.latent=", ""]
