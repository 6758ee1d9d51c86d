"""Every export format, loaded by another process without progan; failures leave no files."""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from networks import published
from progan.datasets.files import write_whole
from progan.pipeline.cli.models import FORMATS
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.exports import check as check_module
from progan.pipeline.exports import export as export_module
from progan.pipeline.exports.check import MEAN_TOLERANCE
from progan.pipeline.exports.export import export_networks
from progan.pipeline.exports.formats import WRITERS
from progan.pipeline.exports.reload import READERS
from progan.pipeline.sampling.generate import load_generator, load_networks


def test_command_writers_and_readers_have_the_same_formats() -> None:
    assert list(FORMATS) == list(WRITERS) == list(READERS)


@pytest.fixture
def checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check exports in this process, with progan hidden, instead of starting another one."""

    def check(kind: str, folder: Path, latents: np.ndarray, expected: np.ndarray) -> None:
        with pytest.MonkeyPatch.context() as hidden, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit.load is deprecated
            for name in [name for name in sys.modules if name.partition(".")[0] == "progan"]:
                hidden.setitem(sys.modules, name, None)
            drawn = READERS[kind](folder, latents)
        np.testing.assert_allclose(drawn, expected, rtol=0, atol=MEAN_TOLERANCE)

    monkeypatch.setattr(check_module, "check", check)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["safetensors", "torchscript", "pt2", "onnx", "huggingface"])
def test_format_draws_the_same_without_progan(tmp_path: Path, kind: str) -> None:
    """`export_networks` compares, on five latents (two were traced), one of them zeros."""
    export_networks(published(tmp_path / "final"), tmp_path / "out", formats=[kind])
    document = "config.json" if kind == "huggingface" else "generator.json"
    assert json.loads((tmp_path / "out" / document).read_text())["resolution"] == 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["safetensors", "torchscript", "pt2", "onnx", "huggingface"])
def test_format_draws_the_given_classes(tmp_path: Path, kind: str, checked_here: None) -> None:
    networks = published(tmp_path / "final", classes=3, generator={"norm": "virtual_batch"})
    export_networks(networks, tmp_path / "out", formats=[kind])
    name = "config.json" if kind == "huggingface" else "generator.json"
    document = json.loads((tmp_path / "out" / name).read_text())
    assert document["classes"] == ["class0", "class1", "class2"]
    assert document["latents"].endswith("16 from N(0, 1), then the class one-hot, 3")
    if kind == "huggingface":
        assert "unconditional" not in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["safetensors", "torchscript", "pt2", "onnx", "huggingface"])
def test_format_draws_the_same_with_alpha(tmp_path: Path, kind: str, checked_here: None) -> None:
    export_networks(published(tmp_path / "final", channels=4), tmp_path / "out", formats=[kind])
    name = "config.json" if kind == "huggingface" else "generator.json"
    document = json.loads((tmp_path / "out" / name).read_text())
    assert document["pictures"].endswith("transparent to opaque; colors are not multiplied by it")
    if kind == "huggingface":
        assert "(RGB and alpha)" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["safetensors", "torchscript", "pt2", "onnx", "huggingface"])
def test_format_draws_the_same_for_dcgan(tmp_path: Path, kind: str, checked_here: None) -> None:
    networks = published(
        tmp_path / "final", 16, arch="dcgan", generator={"norm": "batch", "attention": (8,)}
    )
    export_networks(networks, tmp_path / "out", formats=[kind])
    if kind == "huggingface":
        assert "# A DCGAN, 16x16" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_hugging_face_folder_can_be_loaded(tmp_path: Path, checked_here: None) -> None:
    networks = published(tmp_path / "final")
    export_networks(networks, tmp_path / "out", formats=["huggingface"], weights="generator")
    ours = load_networks(networks, "generator").state_dict()
    theirs = load_generator(tmp_path / "out").state_dict()
    assert all(theirs[name].equal(ours[name]) for name in ours)
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: pytorch") and "weights as trained" in card


@pytest.mark.slow
def test_export_with_other_pictures_is_refused_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_other_weights(model: Path, out: Path) -> None:
        published(model.parent / "other", resolution=8, stddev_group=2)
        weights = (model.parent / "other" / "generator.safetensors").read_bytes()
        (out / "generator.safetensors").write_bytes(weights)
        (out / "generator.py").write_bytes((model / "generator.py").read_bytes())

    monkeypatch.setitem(WRITERS, "safetensors", write_other_weights)
    with pytest.raises(RunError, match="draws other pictures than the run's generator"):
        export_networks(published(tmp_path / "final"), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


@pytest.mark.slow
def test_export_that_needs_progan_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_dependent(model: Path, out: Path) -> None:
        (out / "generator.safetensors").write_bytes((model / "generator.safetensors").read_bytes())
        (out / "generator.py").write_text("from progan.stages.networks.generator import *")

    monkeypatch.setitem(WRITERS, "safetensors", write_dependent)
    with pytest.raises(RunError, match="cannot be loaded without progan: ModuleNotFoundError"):
        export_networks(published(tmp_path / "final"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_import(model: Path, out: Path) -> None:
        raise ModuleNotFoundError("No module named 'onnxscript'", name="onnxscript")

    monkeypatch.setitem(WRITERS, "onnx", fail_import)
    with pytest.raises(RunError, match=r"needs onnxscript.*pip install 'progan\[onnx\]'"):
        export_networks(published(tmp_path / "final"), tmp_path / "out", formats=["onnx"])


@pytest.mark.parametrize("kind", ["folder", "file", "link", "dangling link"])
def test_what_is_there_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    if kind == "folder":
        write_whole(out / "thesis.txt", b"")
    elif kind == "file":
        out.touch()
    else:
        out.symlink_to(elsewhere)
        if kind == "link":
            elsewhere.mkdir()
    write: Callable[..., None] = lambda *_: pytest.fail("something was written")  # noqa: E731
    monkeypatch.setattr(export_module, "_write", write)
    with pytest.raises(ConfigError, match="is there already"):
        export_networks(published(tmp_path / "final"), out)
