"""Labels from files, sources and folders: all pictures have one, or none has."""

import json
from pathlib import Path

import pytest

from progan.datasets.errors import DataError
from progan.datasets.sources.labels import Labels, assign
from progan.datasets.sources.listing import Entry, Listing

NAMES = ["a/1.png", "a/2.png", "b/3.png"]


def listing(*labels: int | str | None, **fields: object) -> Listing:
    own = labels or (None, None, None)
    entries = [Entry(name, label=label) for name, label in zip(NAMES, own, strict=True)]
    return Listing(entries)._replace(**fields)  # type: ignore[arg-type]


def stylegan(*labels: object) -> str:
    return json.dumps({"labels": [list(pair) for pair in zip(NAMES, labels, strict=False)]})


def from_file(tmp_path: Path, name: str, text: str) -> Labels:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return assign(listing(), "pictures", tmp_path / name)


def test_first_level_folders_are_classes() -> None:
    assert assign(listing(), "pictures", None) == ((0, 0, 1), ("a", "b"))


def test_labels_none_ignores_all_labels() -> None:
    assert assign(listing(0, 1, 0), "pictures", "none") == (None, None)


def test_labels_from_dataset_json(tmp_path: Path) -> None:
    found = from_file(tmp_path, "dataset.json", stylegan(2, 0, 2))
    assert found == ((2, 0, 2), ("0", "1", "2"))


def test_dataset_json_of_the_source_is_used() -> None:
    own = listing(label_files=[("", stylegan(1, 1, 0).encode())])
    assert assign(own, "pictures", None) == ((1, 1, 0), ("0", "1"))
    none = listing(label_files=[("", b'{"labels": null}')])
    assert assign(none, "pictures", None) == ((0, 0, 1), ("a", "b"))


@pytest.mark.parametrize("heading", ["", "file,class\n", "\ufefffile,class\n"])
def test_labels_from_csv_of_numbers(tmp_path: Path, heading: str) -> None:
    text = heading + "b/3.png,5\na/1.png,0\na/2.png,1\nelse.png,7\n"
    labels, classes = from_file(tmp_path, "labels.csv", text)
    assert labels == (0, 1, 5)
    assert classes == ("0", "1", "2", "3", "4", "5")


def test_labels_from_csv_of_names(tmp_path: Path) -> None:
    text = 'file,class\na/1.png,dog\na/2.png,"cat, black"\nb/3.png,dog\n'
    assert from_file(tmp_path, "labels.csv", text) == ((1, 0, 1), ("cat, black", "dog"))


def test_labels_of_the_source_come_before_its_folders() -> None:
    named = listing(1, 0, 1, classes=["no", "yes", "never"])
    assert assign(named, "pictures", None) == ((1, 0, 1), ("no", "yes", "never"))
    assert assign(listing("x", "y", "x"), "pictures", None) == ((0, 1, 0), ("x", "y"))


def test_pictures_without_a_label_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels 2 of 3 pictures; .* label: b/3\.png\. Label all"):
        from_file(tmp_path, "dataset.json", stylegan(0, 1))
    with pytest.raises(DataError, match=r"pictures labels 1 of 3 .*: a/1\.png, a/2\.png"):
        assign(listing(None, None, 4), "pictures", None)


def test_names_of_shards_are_no_classes() -> None:
    def shards(*names: str) -> Listing:
        return Listing([Entry(name) for name in names], in_shards=True)

    assert assign(shards("0.tar/1.jpg", "1.tar/2.jpg"), "pictures", None) == (None, None)
    folders = shards("0.tar/a/1.jpg", "0.tar/b/2.jpg", "1.tar/a/3.jpg")
    assert assign(folders, "pictures", None) == ((0, 1, 0), ("a", "b"))


@pytest.mark.parametrize("text", ["²", "٣", "9" * 5000, "1e3", "+1", "-1"])
def test_text_that_is_no_plain_number_is_a_name(tmp_path: Path, text: str) -> None:
    csv = f"a/1.png,{text}\na/2.png,{text}\nb/3.png,{text}\n"
    assert from_file(tmp_path, "labels.csv", csv) == ((0, 0, 0), (text,))


def test_csv_fields_may_hold_line_breaks(tmp_path: Path) -> None:
    text = 'a/1.png,"black\ncat"\r\na/2.png,a\u2028b\nb/3.png,a\u2028b\n'
    assert from_file(tmp_path, "labels.csv", text)[1] == ("a\u2028b", "black\ncat")


@pytest.mark.parametrize("label", ["\ud800", "\udcff"])
def test_lone_surrogates_in_class_names_are_escaped(tmp_path: Path, label: str) -> None:
    _, classes = from_file(tmp_path, "dataset.json", stylegan(label, "b", "b"))
    assert classes == ("b", r"\xff" if label == "\udcff" else r"\ud800")
    assert assign(listing(0, 0, 0, classes=[label]), "pictures", None)[1] == classes[1:]


@pytest.mark.parametrize(
    "label", [[0.5, 1.0], -1, 1.5, True, None, 1 << 40, 10**4000, float("inf")]
)
def test_labels_that_are_not_classes_raise_data_error(tmp_path: Path, label: object) -> None:
    with pytest.raises(DataError, match="give whole numbers from 0, or names") as caught:
        from_file(tmp_path, "dataset.json", stylegan(label, 0, 1))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "is not in the form"),
        ("a.json", "[]", "is not in the form"),
        ("a.json", '{"labels": ' + "[" * 30_000 + "]" * 30_000 + "}", "is not in the form"),
        ("a.json", '{"labels": [["a/1.png", ' + "9" * 5000 + "]]}", "is not in the form"),
        ("a.json", '{"labels": [1]}', "is not in the form"),
        ("a.json", '{"labels": null}', "holds no labels"),
        ("a.csv", "one column\n", "is not a CSV file of two columns"),
    ],
)
def test_files_of_another_format_raise_data_error(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        from_file(tmp_path, name, text)


def test_missing_file_raises_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the labels .*: No such file"):
        assign(listing(), "pictures", tmp_path / "labels.csv")
