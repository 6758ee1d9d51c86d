"""Which folders can become runs."""

from pathlib import Path

import pytest

from drawn_run import draw_run
from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.errors import ConfigError
from progan.pipeline.run.beginning.new_run import run_to_train


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: a data set, a run among others, and files of other programs."""
    home = tmp_path_factory.mktemp("home")
    draw_dataset(home / "pictures", num=4, size=8)
    prepare(home / "pictures", home / "dataset", 8)
    draw_run(home / "runs/a", "growth.last=4", "ticks.grid=1")
    (home / "thesis").mkdir()
    for name in ("chapter.tex", "figure.png", "notes.txt", "references.bib"):
        (home / "thesis" / name).touch()
    (home / "new").mkdir()
    (home / "interrupted").mkdir()
    (home / "interrupted/.lock").touch()
    return home


@pytest.mark.parametrize(
    "path, said",
    [
        ("dataset", "is the data set"),
        ("dataset/0008/run", "is in the data set"),
        ("runs/a/stages/again", "is in the run"),
        ("runs", "holds the runs a; give one of them, or a new folder such as"),
        ("thesis", "holds chapter.tex, figure.png, notes.txt and 1 more"),
        ("thesis/notes.txt", "is a file"),
    ],
)
def test_folder_of_something_else_is_refused(home: Path, path: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run_to_train(home / path)


@pytest.mark.parametrize("path", ["runs/a", "runs/b", "new", "interrupted"])
def test_run_and_new_folder_are_accepted(home: Path, path: str) -> None:
    assert run_to_train(home / path).path == home / path


@pytest.mark.parametrize("kind", ["unfinished", "damaged"])
def test_data_set_that_is_not_whole_is_one_too(home: Path, kind: str) -> None:
    folder = home / kind
    prepare(home / "pictures", folder, 8)
    (folder / "manifest.json").unlink()
    if kind == "damaged":
        (folder / "manifest.json").write_text("{")
    with pytest.raises(ConfigError, match="is the data set"):
        run_to_train(folder)


def test_foreign_manifest_of_a_parent_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "web app"}')
    assert run_to_train(tmp_path / "run").path == tmp_path / "run"
