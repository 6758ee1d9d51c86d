"""Labels find pictures whose names other programs spell differently."""

import json
import unicodedata
import zipfile
from pathlib import Path

import pytest

from progan.datasets.errors import DataError
from progan.datasets.sources.labeling.matching import match
from progan.datasets.sources.labels import assign
from progan.datasets.sources.listing import Entry, Listing, Rejected
from progan.datasets.sources.source import open_source

NFD = unicodedata.normalize("NFD", "größe.png")


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        (["a/1.png", "b/2.png"], ["a\\1.png", "b\\2.png"]),
        (["a/1.png", "b/2.png"], ["./a/1.png", "./b/2.png"]),
        (["a/1.png", "b/2.png"], ["/data/set/a/1.png", "/data/set/b/2.png"]),
        (["a/1.png", "b/1.png"], ["C:\\set\\a\\1.png", "C:\\set\\b\\1.png"]),
        (["all/a/1.png", "all/b/1.png"], ["a/1.png", "b/1.png"]),
        (["a/1.png", "b/2.png"], ["1.png", "2.png"]),
        (["1.png", "2.png"], ["cat/1.png", "dog/2.png"]),
        ([NFD, "b.png"], ["größe.png", "b.png"]),
        (["größe.png", "b.png"], [NFD, "b.png"]),
        (["1.PNG", "2.png"], ["1.png", "2.PNG"]),
        (["1.png", "2.png"], ["1", "2"]),
        (["1.png", "2.png"], ["x/1.jpg", "y/2.jpg"]),
    ],
)
def test_other_spellings(pictures: list[str], labels: list[str]) -> None:
    assert match(pictures, dict(zip(labels, "xy", strict=True))).keys == labels


@pytest.mark.parametrize(
    ("pictures", "labels"),
    [
        (["a/1.png", "b/1.png"], ["1.png"]),
        (["1.png"], ["a/1.png", "b/1.png"]),
        (["a/1.png", "a/2.png"], ["x/a/1.png", "y/a/1.png", "x/2.png"]),
        (["1.png"], ["1.JPG", "1.gif"]),
    ],
)
def test_spellings_that_are_not_clear_find_nothing(pictures: list[str], labels: list[str]) -> None:
    assert None in match(pictures, {name: n for n, name in enumerate(labels)}).keys


def test_equal_names_come_before_similar_ones() -> None:
    assert match(["a.png"], {"A.png": 1, "x/a.png": 2, "a.png": 3}).keys == ["a.png"]


def write(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("place", ["all/", ""])
def test_labels_of_a_zip_that_wraps_everything(tmp_path: Path, place: str) -> None:
    labels = json.dumps({"labels": [["a/1.png", 1], ["b/2.png", 0]]}).encode()
    files = {
        f"{place}dataset.json": labels, "all/a/1.png": b"", "all/b/2.png": b"",
        "__MACOSX/all/dataset.json": b"of macOS", "all/a/dataset.json": b"further in",
    }  # fmt: skip
    assert open_source(write(tmp_path / "a.zip", files)).labels == (1, 0)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "folder")
    assert open_source(tmp_path / "folder").labels == (1, 0)


def test_backslashes_in_a_zip_separate_folders(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", {"a|1.png": b"one", "b|2.png": b"two", "a|": b""})
    path.write_bytes(path.read_bytes().replace(b"|", b"\\"))
    source = open_source(path)
    assert source.names == ("a/1.png", "b/2.png")
    assert source.classes == ("a", "b")
    assert [source.read(n) for n in range(2)] == [b"one", b"two"]


def test_names_in_utf_8_without_the_flag_that_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", {"||/1.png": b"one", "b/2.png": b"two"})
    path.write_bytes(path.read_bytes().replace(b"||", "ö".encode()))
    source = open_source(path)
    assert source.classes == ("b", "ö")
    assert source.read(1) == b"one"


def test_labels_of_shards_need_not_name_them() -> None:
    listing = Listing([Entry("0.tar/a/1.png"), Entry("1.tar/b/1.png")], in_shards=True)
    labels = b'{"labels": [["a/1.png", 1], ["b/1.png", 0]]}'
    assert assign(listing._replace(label_files=[("", labels)]), "s", None)[0] == (1, 0)


@pytest.mark.parametrize("vectors", [[[0, 1], [1, 0]], [[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0]])
def test_one_hot_vectors_and_whole_floats_are_classes(vectors: list[object]) -> None:
    pairs = [["1.png", vectors[0]], ["2.png", vectors[1]]]
    for labels in (json.dumps(pairs), json.dumps({str(name): v for name, v in pairs})):
        content = f'{{"labels": {labels}}}'.encode()
        listing = Listing([Entry("1.png"), Entry("2.png")], label_files=[("", content)])
        assert assign(listing, "s", None) == ((1, 0), ("0", "1"))


def test_each_part_of_a_data_set_may_have_a_dataset_json(tmp_path: Path) -> None:
    for part, label in (("train", 1), ("test", 0)):
        (tmp_path / part).mkdir()
        (tmp_path / part / "1.png").write_bytes(b"-")
        labels = json.dumps({"labels": [["1.png", label]]})
        (tmp_path / part / "dataset.json").write_text(labels)
    assert open_source(tmp_path).labels == (0, 1)


def test_dataset_json_beside_the_source_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(b"-")
    beside = tmp_path / "dataset.json"
    beside.write_text('{"labels": [["images/1.png", 0]]}')
    notes: list[str] = []
    assert open_source(tmp_path / "images", note=notes.append).labels is None
    assert notes == [
        f"labels beside the source are not read: if they are its, say --labels {beside}"
    ]
    assert open_source(tmp_path / "images", beside).labels == (0,)


def test_dataset_json_of_another_program_can_be_ignored() -> None:
    listing = Listing([Entry("1.png")], label_files=[("", b'{"name": "faces"}')])
    with pytest.raises(DataError, match="not in the form .*; --labels none ignores it"):
        assign(listing, "s", None)
    assert assign(listing, "s", "none") == (None, None)


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        ({"1.png": 0, "2.png": 0, "x.png": 0, "y.png": 0}, "2 of 4 labels match no picture: x"),
        ({"1.png": 0, "2.png": 0, "bad.png": 0, "y.png": 0}, "1 of 4 labels match no .*: y.png$"),
        ({"1.png": 2, "2.png": 5}, "4 of 6 classes have no pictures: 0, 1, 3, 4.* without gaps"),
        ({"1": 0, "2": 0}, "compared with those of pictures without extensions"),
        ({"a/1.png": 0, "b/2.png": 0}, "without folders$"),
    ],
)
def test_what_was_overlooked_is_noted(labels: dict[str, int], line: str) -> None:
    content = json.dumps({"labels": list(labels.items())}).encode()
    entries = [Entry("1.png"), Entry("2.png")]
    notes: list[str] = []
    listing = Listing(entries, [Rejected("bad.png", "empty file")], label_files=[("", content)])
    assign(listing, "s", None, notes.append)
    assert len(notes) == 1
    with pytest.raises(AssertionError, match=line):
        raise AssertionError(notes[0])
