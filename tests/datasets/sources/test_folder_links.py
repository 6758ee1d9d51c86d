"""Links to folders are followed, each folder is read once, and loops end."""

from pathlib import Path

import pytest

from progan.datasets.build.prepare import prepare
from progan.datasets.sources.source import open_source


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"-")
    return root


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A folder of links to class folders elsewhere."""
    store = tree(tmp_path / "store", "cats/1.png", "cats/young/2.png", "dogs/3.png")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "cat").symlink_to(store / "cats")
    (tmp_path / "s" / "dog").symlink_to("../store/dogs")
    return tmp_path / "s"


def test_class_folders_may_be_links(classes: Path) -> None:
    source = open_source(classes)
    assert source.names == ("cat/1.png", "cat/young/2.png", "dog/3.png")
    assert source.classes == ("cat", "dog")
    assert source.read(2) == b"-"
    assert not source.rejected


def test_links_give_the_same_data_set_as_folders(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for folder in pictures.iterdir():
        (tmp_path / "s" / folder.name).symlink_to(folder)
    made = [prepare(s, tmp_path / f"d{n}", 4, workers=1) for n, s in enumerate(
        (pictures, tmp_path / "s"))]  # fmt: skip
    assert made[0].fingerprint == made[1].fingerprint


def test_loops_end(classes: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "cats" / "again").symlink_to(store / "cats" / "young")
    (store / "dogs" / "up").symlink_to(store)
    (store / "dogs" / "source").symlink_to(classes)
    (classes / "home").symlink_to(tmp_path)
    source = open_source(classes)
    assert source.names == ("cat/1.png", "cat/young/2.png", "dog/3.png")
    assert dict(source.rejected) == {
        "cat/again": "a link to a folder that is read already",
        "dog/source": "a link to a folder that is read already",
        "dog/up": "a link to a folder that contains it",
        "home": "a link to a folder that contains it",
    }


def test_many_links_to_each_other_are_read_once(tmp_path: Path) -> None:
    for number in range(12):
        tree(tmp_path / "s", f"{number}/1.png")
        for other in range(12):
            (tmp_path / "s" / str(number) / f"to{other}").symlink_to(f"../{other}")
    assert len(open_source(tmp_path / "s").names) == 12


def test_file_that_git_annex_has_not_fetched(tmp_path: Path) -> None:
    tree(tmp_path, "1.png")
    (tmp_path / "2.png").symlink_to(".git/annex/objects/0/0/SHA256E-s1--0.png")
    reason = dict(open_source(tmp_path).rejected)["2.png"]
    assert reason == "cannot be opened: No such file or directory: run `git annex get`"


def test_folder_of_a_broken_link_is_reported(classes: Path) -> None:
    (classes / "bird").symlink_to("nowhere")
    (classes / ".hidden").symlink_to("nowhere")
    assert dict(open_source(classes).rejected) == {
        "bird": "a link to a folder or file that is missing"
    }
