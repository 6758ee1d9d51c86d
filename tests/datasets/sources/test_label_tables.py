"""Tables of labels as other programs and data sets write them."""

from pathlib import Path

import pytest

from progan.datasets.errors import DataError
from progan.datasets.sources.labels import Labels, assign
from progan.datasets.sources.listing import Entry, Listing

NAMES = ["000001.jpg", "000002.jpg", "000003.jpg"]
CELEBA = """3
5_o_Clock_Shadow Male Smiling
000001.jpg -1  1  1
000002.jpg -1 -1  1
000003.jpg -1 -1 -1
"""


def table(tmp_path: Path, text: str | bytes, file: str = "list.csv", column: str = "") -> Labels:
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / file).write_bytes(content)
    return assign(Listing([Entry(name) for name in NAMES]), "s", f"{tmp_path / file}{column}")


@pytest.mark.parametrize("column", ["Smiling", "smiling", "4"])
@pytest.mark.parametrize("kind", ["txt", "csv"])
def test_column_of_attributes_can_be_chosen(tmp_path: Path, kind: str, column: str) -> None:
    text = CELEBA
    if kind == "csv":
        rows = ["image_id,5_o_Clock_Shadow,Male,Smiling", *text.splitlines()[2:]]
        text = "\n".join(",".join(row.split()) for row in rows)
    found = table(tmp_path, text, f"list_attr_celeba.{kind}", f":{column}")
    assert found == ((1, 1, 0), ("-1", "1"))


def test_table_of_several_columns_needs_a_choice(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"3 columns .*list.txt:COLUMN, .* 5_o_Clock_Shadow, Male, Smiling"
    ):
        table(tmp_path, CELEBA, "list.txt")
    with pytest.raises(DataError, match="no column Beard: choose one of 5_o_Clock_Shadow, Male"):
        table(tmp_path, CELEBA, "list.txt", ":Beard")
    with pytest.raises(DataError, match="2 columns .* one of 2, 3"):
        table(tmp_path, "".join(f"{name},a,b\n" for name in NAMES))


def test_path_and_column_may_have_colons(tmp_path: Path) -> None:
    rows = "file,a:b,c\n" + "".join(f"{name},x,{n}\n" for n, name in enumerate(NAMES))
    assert table(tmp_path, rows, "1:2.csv", ":c")[0] == (0, 1, 2)
    assert table(tmp_path, rows, "1:2.csv", ":a:b")[1] == ("x",)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.csv", "".join(f"{name};c\n" for name in NAMES)),
        ("a.tsv", "file\tclass\n" + "".join(f"{name}\tc\n" for name in NAMES)),
        ("a.txt", "".join(f"{name} c\n" for name in NAMES)),
        ("a.csv", "\ufefffile,class\r\n" + "".join(f"{name},c\r\n" for name in NAMES)),
        ("a.csv", ("file,class\n" + "".join(f"{name},c\n" for name in NAMES)).encode("utf-16")),
        ("a.csv", "# labels\n" + "".join(f"{name},c\n" for name in NAMES)),
        ("a.csv", ",file,species\n" + "".join(f"{n},{name},c\n" for n, name in enumerate(NAMES))),
        ("a.csv", "sep=;\nfile;class\n" + "".join(f"{name};c\n" for name in NAMES)),
        ("a.csv", "000001,class\n" + "".join(f"{name},c\n" for name in NAMES)),
        ("a.csv", "class,file\n" + "".join(f"c,{name}\n" for name in NAMES)),
        ("a.csv", "file,width,label\n" + "".join(f"{name},9,c\n" for name in NAMES)),
        ("a.csv", "file,a,c\n" + "".join(f"{name},0.0,1.0\n" for name in NAMES)),
        ("a.jsonl", "".join(f'{{"file_name": "{name}", "label": "c"}}\n' for name in NAMES)),
    ],
    ids=[
        "semicolons", "tabs", "spaces", "Windows", "UTF-16", "comment", "index of pandas",
        "Excel", "heading like a picture", "class first", "column named label", "one-hot",
        "JSON lines",
    ],
)  # fmt: skip
def test_forms_of_tables(tmp_path: Path, file: str, text: str | bytes) -> None:
    assert table(tmp_path, text, file) == ((0, 0, 0), ("c",))


def test_names_in_a_list_may_have_spaces(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("1.jpg a\n2 3.jpg b\n")
    listing = Listing([Entry("1.jpg"), Entry("2 3.jpg")])
    assert assign(listing, "s", tmp_path / "list.txt") == ((0, 1), ("a", "b"))


def test_whole_numbers_with_a_point_are_numbers(tmp_path: Path) -> None:
    rows = "".join(f"{name},{n}.0\n" for n, name in enumerate(NAMES))
    assert table(tmp_path, rows) == ((0, 1, 2), ("0", "1", "2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{NAMES[0]},a\n{NAMES[0]},b\n", "000001.jpg two labels, a and b"),
        ("".join(f"{name},\n" for name in NAMES), "labels 0 of 3 pictures"),
        ("file,class\n", "labels 0 of 3 pictures"),
        ("", "labels 0 of 3 pictures"),
        ("x/1.jpg,a\ny/2.jpg,b\n", r"labels 0 of 3 .*\(it labels x/1.jpg, y/2.jpg\)"),
        ("000001.jpg,ö\n".encode("latin-1"), "not text in UTF-8: save it"),
        (b"PK\x03\x04\xff\xfe", "is a zip file; give a dataset.json or a CSV file"),
    ],
)
def test_tables_that_give_no_labels(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        table(tmp_path, text)


def test_json_lines_without_objects(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a table: not one JSON object"):
        table(tmp_path, "[1]\n", "a.jsonl")
    with pytest.raises(DataError, match="has no columns: leave out :x"):
        table(tmp_path, "{}", "a.json", ":x")


def test_git_lfs_pointer_in_place_of_a_table(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    with pytest.raises(DataError, match="list.csv is a Git LFS pointer"):
        table(tmp_path, pointer)
