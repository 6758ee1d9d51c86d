"""Folders and zip files give the same pictures in the same order."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from progan.datasets.errors import DataError, UnusablePicture
from progan.datasets.sources.source import open_source

Make = Callable[[Path, dict[str, bytes]], Path]

FILES = {
    "b/2.png": b"two",
    "a/10.JPG": b"ten",
    "a/1.jpg": b"one",
    "a/.hidden.png": b"-",
    "a/notes.txt": b"-",
    "__MACOSX/a/1.jpg": b"-",
}


def as_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def as_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.with_suffix(".zip")


@pytest.mark.parametrize("make", [as_folder, as_zip])
class TestBothKinds:
    def test_pictures_are_sorted_and_labeled(self, tmp_path: Path, make: Make) -> None:
        source = open_source(make(tmp_path / "s", FILES))
        assert source.names == ("a/1.jpg", "a/10.JPG", "b/2.png")
        assert [source.read(i) for i in range(3)] == [b"one", b"ten", b"two"]
        assert source.labels == (0, 0, 1)
        assert source.classes == ("a", "b")
        assert [entry.size for entry in source.entries] == [3, 3, 3]

    def test_part_can_be_pickled(self, tmp_path: Path, make: Make) -> None:
        part = open_source(make(tmp_path / "s", FILES)).part([2, 0])
        part = pickle.loads(pickle.dumps(part))
        assert [part.read(i) for i in range(2)] == [b"two", b"one"]
        assert part.labels == (1, 0)

    def test_source_without_pictures_raises_data_error(self, tmp_path: Path, make: Make) -> None:
        with pytest.raises(DataError, match="no pictures in"):
            open_source(make(tmp_path / "s", {"a.txt": b""}))


@pytest.mark.parametrize(
    "names", [["1.png", "2.png"], ["1.png", "a/2.png"], ["all/1.png", "all/2.png"]]
)
def test_fewer_than_two_class_folders_give_no_labels(tmp_path: Path, names: list[str]) -> None:
    source = open_source(as_folder(tmp_path / "s", dict.fromkeys(names, b"")))
    assert source.labels is None
    assert source.classes is None


def test_folders_that_contain_everything_are_ignored(tmp_path: Path) -> None:
    names = ["cifar/train/cat/1.png", "cifar/train/dog/1.png", "cifar/train/dog/more/2.png"]
    source = open_source(as_zip(tmp_path / "s", dict.fromkeys(names, b"")))
    assert source.classes == ("cat", "dog")
    assert source.labels == (0, 1, 1)


def test_dangling_link_is_rejected(tmp_path: Path) -> None:
    as_folder(tmp_path, {"1.png": b""})
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    assert open_source(tmp_path).names == ("1.png",)


def test_missing_source_raises_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_source(tmp_path / "faces")


def test_unknown_file_raises_data_error(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(b"not a zip")
    with pytest.raises(DataError, match="is none of these: give a folder, a zip"):
        open_source(tmp_path / "a.tgz")


def test_removed_picture_is_unusable(tmp_path: Path) -> None:
    source = open_source(as_folder(tmp_path, {"1.png": b""}))
    (tmp_path / "1.png").unlink()
    with pytest.raises(UnusablePicture, match="cannot be read: No such file"):
        source.read(0)
