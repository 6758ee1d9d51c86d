"""Damage of a zip's directory or of its labels is an error, not a shorter list."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from progan.datasets.errors import DataError
from progan.datasets.sources.source import open_source

DIRECTORY, END = b"PK\1\2", b"PK\5\6"
LABELS = json.dumps({"labels": [[f"{number}.png", number % 2] for number in range(9)]})
Damage = Callable[[bytearray], None]


def make(path: Path, damage: Damage = lambda content: None) -> Path:
    """Nine pictures, a text, and labels as the last member."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(9):
            archive.writestr(f"{number}.png", b"%d" % number * 500)
        archive.writestr("notes.txt", "about the pictures")
        archive.writestr("dataset.json", LABELS)
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    return path


def at_directory(offset: int, data: bytes) -> Damage:
    """Changes the first picture's entry in the directory."""

    def damage(content: bytearray) -> None:
        at = content.index(DIRECTORY) + offset
        content[at : at + len(data)] = data

    return damage


def at_labels(offset: int, data: bytes) -> Damage:
    """Changes the entry of dataset.json in the directory."""

    def damage(content: bytearray) -> None:
        at = content.rindex(DIRECTORY) + offset
        content[at : at + len(data)] = data

    return damage


def flipped_labels(content: bytearray) -> None:
    content[content.index(b"dataset.json") + 20] ^= 0xFF


def two_disks(content: bytearray) -> None:
    end = content.index(END)
    content[end:end] = struct.pack("<4sLQL", b"PK\6\7", 1, 0, 2)


def no_entries(content: bytearray) -> None:
    end = content.index(END)
    content[end + 12 : end + 20] = struct.pack("<LL", 0, end)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (at_directory(0, b"XXXX"), r"its directory cannot be read \(Bad magic number"),
        (at_directory(28, b"\xff\xff"), "its directory lists 1 of 11 members"),
        (at_directory(30, b"\xff\0"), r"its directory cannot be read \(Corrupt extra field"),
        (no_entries, "its directory lists 0 of 11 members"),
        (two_disks, r"its directory cannot be read \(zipfiles that span multiple disks"),
        (lambda content: content.__delitem__(slice(-22, None)), "not a zip file, or damaged"),
    ],
)
def test_damaged_directory_raises_data_error(tmp_path: Path, damage: Damage, message: str) -> None:
    path = make(tmp_path / "a.zip", damage)
    with pytest.raises(DataError, match=message) as caught:
        open_source(path)
    assert str(path) in str(caught.value)
    assert "opy or download it again" in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (at_labels(8, b"\1"), "it is encrypted"),
        (at_labels(10, b"\x61"), "That compression method is not supported"),
        (at_labels(16, b"\0\0\0\0"), "Bad CRC-32 for file 'dataset.json'"),
        (flipped_labels, "Error -3 while decompressing data|Bad CRC-32"),
    ],
)
def test_unreadable_labels_raise_data_error(tmp_path: Path, damage: Damage, message: str) -> None:
    path = make(tmp_path / "a.zip", damage)
    with pytest.raises(DataError, match=rf"dataset\.json of {path} cannot be read: ({message})"):
        open_source(path)


@pytest.mark.parametrize("name", [b"0.pn\0", b"0.pnf", b"0\0png"])
def test_picture_that_lost_its_name_is_rejected(tmp_path: Path, name: bytes) -> None:
    """The directory has no checksum: such a file would pass for something else than a picture."""
    path = make(tmp_path / "a.zip", at_directory(46, name))
    source = open_source(path, labels="none")
    assert len(source.names) == 8
    ((_, reason),) = source.rejected
    assert "File name in directory" in reason or "zero byte" in reason


def test_intact_zip_with_other_files_has_no_rejects(tmp_path: Path) -> None:
    source = open_source(make(tmp_path / "a.zip"))
    assert (len(source.names), source.rejected) == (9, ())
    assert source.classes == ("0", "1")


@pytest.mark.slow
def test_zip_with_more_than_65535_members_is_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(65_600):
            archive.writestr(f"{number}.png", b"")
    assert len(open_source(tmp_path / "a.zip").names) == 65_600
