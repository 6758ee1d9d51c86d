"""Exports on the Hugging Face Hub: drawn from, loaded without progan."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from fake_hub import Hub, fake_hub
from networks import published
from progan.pipeline.cli.main import main
from progan.pipeline.errors import ConfigError
from progan.pipeline.exports.export import export_networks
from progan.pipeline.sampling.generate import generate
from progan.pipeline.sampling.hub import model_folder

PROGAN = str(Path(sys.executable).with_name("progan"))


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with fake_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Path:
    """An export for the Hub, which is there as user/shapes."""
    folder = tmp_path_factory.mktemp("model")
    export_networks(published(folder / "final"), folder / "out", formats=["huggingface"])
    files = {file.name: file.read_bytes() for file in (folder / "out").iterdir()}
    hub.files["user/shapes"] = files
    return folder / "out"


def run(hub: Hub, cwd: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | hub.environment(cwd / "home")
    words = list(map(str, argv))
    return subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_pictures_of_a_repository_are_those_of_the_export(
    hub: Hub, model: Path, tmp_path: Path
) -> None:
    drawn = run(hub, tmp_path, PROGAN, "generate", "hf://user/shapes", "out.png", "--num", "4")
    assert drawn.returncode == 0, drawn.stderr
    generate(model, tmp_path / "expected.png", num=4)
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "expected.png").read_bytes()
    assert not list(tmp_path.rglob("generator.py"))
    hub.files["user/gone"] = hub.files.pop("user/shapes")  # the copy is used without the Hub
    hub_is_away = Hub("http://127.0.0.1:9")
    again = run(hub_is_away, tmp_path, PROGAN, "generate", "hf://user/shapes", "again.png",
                "--num", "4")  # fmt: skip
    hub.files["user/shapes"] = hub.files.pop("user/gone")
    assert again.returncode == 0, again.stderr


def test_repositories_that_are_not_there_are_said(hub: Hub, tmp_path: Path) -> None:
    drawn = run(hub, tmp_path, PROGAN, "generate", "hf://user/nothing", "out.png")
    assert drawn.returncode == 2
    assert drawn.stderr.startswith("progan: the Hub has no model user/nothing, or it is private")


def test_export_is_pushed_as_one_commit(hub: Hub, tmp_path: Path) -> None:
    published(tmp_path / "final")
    pushed = run(hub, tmp_path, PROGAN, "export", "final", "out", "--format", "huggingface",
                 "--push", "user/pushed", "--private", "--license", "mit")  # fmt: skip
    assert pushed.returncode == 0, pushed.stderr
    made = hub.created[-1]  # huggingface_hub says it in either way, by its version
    assert made["name"] == "pushed"
    assert made.get("private") is True or made.get("visibility") == "private"
    files = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert hub.files["user/pushed"] == files
    assert b"license: mit" in files["README.md"] and b'"user/pushed"' in files["README.md"]
    assert "draw from it with hf://user/pushed" in pushed.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--push", "user/name"], "add --format huggingface"),
        (["--private"], "about the repository of --push"),
        (["--license", "My own!"], "a name such as mit"),
        (["--format", "huggingface", "--push", "name"], "--push name: write USER/NAME"),
        (["--format", "huggingface", "--push", "a/b"], "--push needs a login on the Hub"),
    ],
)
def test_push_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    result = CliRunner().invoke(main, ["export", "final", str(tmp_path / "out"), *words])
    assert result.exit_code in (1, 2) and said in result.output
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("reference", ["hf://user", "hf://a/b/c", "hf://a/b@", "hf://"])
def test_malformed_references_are_refused(reference: str) -> None:
    with pytest.raises(ConfigError, match="write hf://USER/NAME"):
        model_folder(reference)


FROM_PRETRAINED = """
import sys
sys.modules["progan"] = None
from generator import from_pretrained, random_inputs
import torch
inputs = random_inputs(from_pretrained({0!r}), 3, torch.Generator().manual_seed(0))
assert torch.equal(from_pretrained({0!r})(inputs), from_pretrained({1!r})(inputs))
"""


def test_generator_file_loads_a_repository_or_a_folder(
    hub: Hub, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "generator.py").write_bytes(hub.files["user/shapes"]["generator.py"])
    code = FROM_PRETRAINED.format("user/shapes", str(model))
    loaded = run(hub, tmp_path, sys.executable, "-c", code)
    assert loaded.returncode == 0, loaded.stderr


def test_generator_file_names_a_folder_without_weights(model: Path, tmp_path: Path) -> None:
    from progan.pipeline.exports.standalone_generator import from_pretrained

    with pytest.raises(FileNotFoundError, match="holds 0 .safetensors files, not one"):
        from_pretrained(tmp_path)
