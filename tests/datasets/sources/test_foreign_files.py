"""Files that are no pictures are named for what they are."""

import shutil
from pathlib import Path

import pytest

from progan.datasets.build.picture import square_picture
from progan.datasets.errors import DataError, UnusablePicture
from progan.datasets.format.options import Options
from progan.datasets.sources.source import open_source

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (POINTER, "a Git LFS pointer, not the file itself: run `git lfs pull`"),
        (b"/annex/objects/SHA256E-s1--00.png\n", "a git-annex pointer"),
        (b"\0\5\x16\7\0\2\0\0", "an AppleDouble file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "a film"),
        (b"\xef\xbb\xbf<!DOCTYPE HTML><title>", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', "an error message of a server"),
        (b"<?xml version='1.0'?><svg>", "an SVG drawing"),
        (bytes(9000), "a file of zeros"),
    ],
)
def test_reason_names_what_the_file_is(content: bytes, kind: str) -> None:
    with pytest.raises(UnusablePicture, match=f"not a picture of a known format: {kind}"):
        square_picture(content, 8, Options())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.zip", POINTER, "not a zip file, but a Git LFS pointer"),
        ("a.tar", POINTER, "not a tar file, but a Git LFS pointer"),
        ("a.rar", b"Rar!\x1a\7\0", "is a RAR archive: unpack it first"),
        ("a.png", b"", "is one picture: give the folder"),
        ("a.csv", b"a,b", "is none of these: give a folder"),
    ],
)
def test_source_of_another_kind(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / name)


def test_files_that_may_hold_pictures_are_named(tmp_path: Path) -> None:
    for name in ("in/b.heic", "in/a.HEIC", "c.zip", "notes.txt", ".hidden.zip"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"-")
    with pytest.raises(
        DataError, match=r"it holds 2 \.heic \(in/.\.\w+\), 1 \.zip \(c\.zip\), whi"
    ):
        open_source(tmp_path)
    (tmp_path / "d.jfif").write_bytes(b"-")
    notes: list[str] = []
    assert open_source(tmp_path, note=notes.append).names == ("d.jfif",)
    assert notes[0].startswith("files that are not read: 2 .heic")


@pytest.mark.parametrize(
    ("pictures", "empty", "classes", "named"),
    [
        (("a/1.png", "b/2.png"), "c", ("a", "b"), True),
        (("all/a/1.png", "all/b/2.png"), "all/c", ("a", "b"), True),
        (("train/a/1.png", "val/b/2.png"), "val/c", ("a", "b"), True),
        (("a/1.png",), "c", None, True),
        (("a/in/1.png", "b/2.png"), "a/c", ("a", "b"), False),
        (("train/a/1.png", "val/b/2.png"), "val/a", ("a", "b"), False),
        (("a/1.png", "b/2.png"), ".c", ("a", "b"), False),
    ],
)
def test_empty_folders_beside_those_of_classes_are_named(
    tmp_path: Path,
    pictures: tuple[str, ...],
    empty: str,
    classes: tuple[str, ...] | None,
    named: bool,
) -> None:
    for name in (*pictures, f"{empty}/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"-")
    archive = shutil.make_archive(str(tmp_path.with_name("archive")), "zip", tmp_path)
    for source in (tmp_path, Path(archive)):
        notes: list[str] = []
        assert open_source(source, note=notes.append).classes == classes
        assert (f"folders without pictures become no classes: {empty}" in notes) == named


@pytest.mark.parametrize("folder", ["@eaDir", "$RECYCLE.BIN", "__MACOSX", ".ipynb_checkpoints"])
def test_folders_of_the_system_are_no_classes(tmp_path: Path, folder: str) -> None:
    for name in ("a/1.png", "b/2.png", f"{folder}/3.png", f"a/{folder}/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"-")
    assert open_source(tmp_path).classes == ("a", "b")
