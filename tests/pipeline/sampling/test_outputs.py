"""Generated pictures: all or none, and nothing that was there is overwritten unsaid."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from torch import Tensor

from networks import published
from progan.pipeline.cli.main import main
from progan.pipeline.errors import ConfigError
from progan.pipeline.sampling import generate as generate_module
from progan.pipeline.sampling.generate import generate
from progan.stages.networks.generator import Generator


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "final"
    published(folder)
    return folder


@pytest.mark.parametrize("is_new", [True, False])
def test_single_pictures_appear_when_all_are_drawn(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    def interrupted(generator: Generator, latents: Tensor) -> Iterator[Tensor]:
        yield generator(latents[:2])
        raise KeyboardInterrupt

    out = tmp_path / "out"
    if not is_new:
        out.mkdir()
        (out / "thesis.txt").touch()
    monkeypatch.setattr(generate_module, "draw_batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(model, out, num=4)
    assert [path.name for path in tmp_path.rglob("*")] == ([] if is_new else ["out", "thesis.txt"])
    monkeypatch.undo()
    generate(model, out, num=2)
    generate(model, out, seeds=[7, 7])
    names = {path.name for path in out.iterdir()} - {"thesis.txt"}
    assert names == {"0-000000.png", "0-000001.png", "seed000007.png"}


def test_single_pictures_do_not_replace_others(model: Path, tmp_path: Path) -> None:
    (tmp_path / "seed000002.png").write_text("mine")
    with pytest.raises(ConfigError, match=r"seed000002.png is there already: choose another OUT"):
        generate(model, tmp_path, seeds=[1, 2, 3])
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_single_pictures_do_not_replace_a_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="notes is a file"):
        generate(model, tmp_path / "notes", seeds=[1])
    assert (tmp_path / "notes").read_text() == "mine"


def test_grid_beyond_memory_is_refused_before_it_is_drawn(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a grid of 99,999,999 pictures .* give a folder"):
        generate(model, tmp_path / "grid.png", num=99_999_999)


def test_message_says_that_a_grid_is_replaced(model: Path, tmp_path: Path) -> None:
    words = ["generate", str(model), str(tmp_path / "grid.png"), "--num", "1"]
    first, second = (CliRunner().invoke(main, words) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "replaced" not in first.output and "the file that was there is replaced" in second.output
