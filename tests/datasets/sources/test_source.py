"""Folders and zip files give the same pictures in the same order."""

import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import lmdb
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


def with_others(path: Path, *others: str) -> Path:
    """Two pictures in folders, with a tar file or an LMDB beside them."""
    as_folder(path, {"a/1.png": b"one", "b/2.png": b"two"})
    if "tar" in others:
        with tarfile.open(path / "stray.tar", "w") as tar:
            tar.add(path / "a" / "1.png", "3.png")
    if "lmdb" in others:
        with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
            transaction.put(b"4", b"four")
    return path


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (("tar",), "holds 1 tar file and 2 pictures in folders: .* tar or folder"),
        (("lmdb",), "holds an LMDB and 2 pictures in folders: .* lmdb or folder"),
        (("tar", "lmdb"), "an LMDB and 1 tar file and 2 pictures in folders: .* lmdb or tar or"),
    ],
)
def test_folder_of_several_kinds_needs_a_choice(
    tmp_path: Path, others: tuple[str, ...], message: str
) -> None:
    folder = with_others(tmp_path, *others)
    with pytest.raises(DataError, match=rf"{folder} holds .*--source-kind") as caught:
        open_source(folder)
    assert re.search(message, str(caught.value))
    names = {kind: open_source(folder, kind=kind).names for kind in ("folder", *others)}
    expected = {"folder": ("a/1.png", "b/2.png"), "tar": ("3.png",), "lmdb": ("4",)}
    assert names == {kind: expected[kind] for kind in names}


def test_tar_files_without_pictures_beside_them_need_no_choice(tmp_path: Path) -> None:
    folder = with_others(tmp_path, "tar")
    for name in ("a/1.png", "b/2.png"):
        (folder / name).unlink()
    (folder / "notes.txt").write_text("about the shards")
    assert open_source(folder).names == ("3.png",)


def test_kind_that_a_source_is_not_raises_data_error(tmp_path: Path) -> None:
    folder = as_folder(tmp_path, {"1.png": b""})
    with pytest.raises(DataError, match="cannot be read as lmdb: leave out --source-kind"):
        open_source(folder, kind="lmdb")


@pytest.mark.parametrize("name", ["a.tar", "a.zip", "s/a.tar"])
def test_disk_that_fails_raises_data_error(tmp_path: Path, name: str) -> None:
    """/proc/self/mem opens, and fails to read at 0 as a broken disk does."""
    (tmp_path / "s").mkdir()
    (tmp_path / name).symlink_to("/proc/self/mem")
    location = tmp_path / name.split("/")[0]
    with pytest.raises(DataError, match=f"cannot read {location}.*: Input/output error"):
        open_source(location)


def test_location_that_is_too_long_does_not_exist() -> None:
    with pytest.raises(DataError, match="does not exist"):
        open_source("x" * 5000)


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
