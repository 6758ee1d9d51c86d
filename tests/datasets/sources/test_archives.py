"""Zip and tar files, also hostile and damaged ones, give their pictures and nothing else."""

import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from progan.datasets.build.prepare import prepare
from progan.datasets.errors import DataError, UnusablePicture
from progan.datasets.format.shards import shard_writers
from progan.datasets.sources.listing import MAX_FILE_BYTES
from progan.datasets.sources.source import Source, open_source


def add(tar: tarfile.TarFile, name: str, data: bytes = b"-", **attributes: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in attributes.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(data))


def contents(source: Source) -> dict[str, bytes]:
    return {name: source.read(n) for n, name in enumerate(source.names)}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_zip_members_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.png", b"good")
        archive.writestr("größe.png", b"named")
        archive.writestr("good.png", b"second of the name")
        archive.writestr("../../outside.png", b"-")
        archive.writestr("/etc/absolute.png", b"-")
        archive.writestr("a/folder.png/", b"")
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, b"/etc/passwd")
    source = open_source(path)
    assert contents(source) == {"good.png": b"good", "größe.png": b"named"}
    assert dict(source.rejected) == {
        "good.png": "another file has the same name",
        "../../outside.png": "its name climbs out of the archive",
        "/etc/absolute.png": "its name climbs out of the archive",
        "link.png": "a link",
    }


def test_replaced_zip_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for names in (["1.png"], ["1.png", "2.png"]):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, name)
        assert contents(open_source(path)) == {name: name.encode() for name in names}


def test_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("bomb.png", "w", force_zip64=True) as file:
            for _ in range(MAX_FILE_BYTES // (1 << 24) + 1):
                file.write(bytes(1 << 24))
    with pytest.raises(UnusablePicture, match="is too large"):
        open_source(path).read(0)


def test_zip_bomb_with_a_false_size_is_unusable(tmp_path: Path) -> None:
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(50_000_000))
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 50_000_000), struct.pack("<I", 1000)))
    with pytest.raises(UnusablePicture, match="cannot be read: Bad CRC"):
        open_source(path).read(0)


def damaged(path: Path, how: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", os.urandom(1000))
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\1\2")
    if how == "flipped":
        content[200] ^= 1
    elif how == "encrypted":
        content[directory + 8] |= 1
    elif how == "unknown method":
        content[directory + 10] = 97
    elif how == "overlapping":
        content[directory + 42] = 7
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["flipped", "unknown method", "overlapping"])
def test_damaged_zip_member_is_unusable(tmp_path: Path, how: str) -> None:
    damaged(tmp_path / "a.zip", how)
    with pytest.raises(UnusablePicture, match="cannot be read"):
        open_source(tmp_path / "a.zip").read(0)


def test_encrypted_zip_raises_data_error(tmp_path: Path) -> None:
    damaged(tmp_path / "a.zip", "encrypted")
    with pytest.raises(DataError, match=r"no usable pictures .* a\.png: encrypted"):
        open_source(tmp_path / "a.zip")


def test_hostile_tar_members_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "good.png", b"good")
        add(tar, "größe " + "x" * 150 + ".png", b"long name")
        add(tar, "good.png", b"second of the name")
        add(tar, "../outside.png")
        add(tar, "link.png", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(tar, "hard.png", b"", type=tarfile.LNKTYPE, linkname="good.png")
        add(tar, "device.png", b"", type=tarfile.CHRTYPE)
        add(tar, "pipe.png", b"", type=tarfile.FIFOTYPE)
        add(tar, "folder.png", b"", type=tarfile.DIRTYPE)
    source = open_source(path)
    assert sorted(contents(source).values()) == [b"good", b"long name"]
    assert len(source.rejected) == 7


def test_picture_in_a_truncated_tar_is_unusable(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "1.png", b"one")
        add(tar, "2.png", bytes(5000))
    source = open_source(path)
    path.write_bytes(path.read_bytes()[:3000])
    assert source.read(0) == b"one"
    with pytest.raises(UnusablePicture, match="the archive ends within it"):
        source.read(1)


@pytest.mark.parametrize("cut", [700, 3000])
def test_damaged_tar_raises_data_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "1.png", bytes(5000))
        add(tar, "2.png", bytes(5000))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"a\.tar is damaged"):
        open_source(path)


def test_compressed_tar_raises_data_error(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        add(tar, "1.png", bytes(5000))
    with pytest.raises(DataError, match=r"is compressed, .*: unpack it first, .*'pipe:gzip -dc"):
        open_source(tmp_path / "a.tar.gz")


def labeled_by_cls(tar: tarfile.TarFile, key: str, label: int) -> None:
    add(tar, f"{key}.png", key.encode())
    add(tar, f"{key}.cls", str(label).encode())


def labeled_by_json(tar: tarfile.TarFile, key: str, label: int) -> None:
    add(tar, f"{key}.json", json.dumps({"label": label, "caption": "-"}).encode())
    add(tar, f"{key}.seg.png", b"another picture of the same key")
    add(tar, f"{key}.png", key.encode())


@pytest.mark.parametrize("write", [labeled_by_cls, labeled_by_json])
def test_labels_of_webdataset_shards(
    tmp_path: Path, write: Callable[[tarfile.TarFile, str, int], None]
) -> None:
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard:06d}.tar", "w") as tar:
            for number in range(3):
                write(tar, f"{shard}{number}", number)
    for location in (tmp_path, tmp_path / "*.tar"):
        source = open_source(location)
        pictures = [n for n, name in enumerate(source.names) if "seg" not in name]
        assert [source.names[n] for n in pictures][:2] == ["000000.tar/00.png", "000000.tar/01.png"]
        assert source.read(pictures[0]) == b"00"
        assert source.labels is not None
        assert [source.labels[n] for n in pictures] == [0, 1, 2, 0, 1, 2]
        assert source.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("extension", "content", "classes"),
    [
        ("cls", "²".encode(), ("²",)),
        ("cls", b"9" * 5000, ("9" * 5000,)),
        ("cls", b"--5", ("--5",)),
        ("cls", b"\xe9", (r"\xe9",)),
        ("json", b'{"label": "\\ud800"}', (r"\ud800",)),
        ("json", b'{"a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", None),
        ("json", b'{"caption": "' + b"x" * 70_000 + b'"}', None),
    ],
)
def test_odd_labels_of_a_tar(
    tmp_path: Path, extension: str, content: bytes, classes: tuple[str, ...] | None
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "1.png")
        add(tar, f"1.{extension}", content)
    assert open_source(tmp_path / "a.tar").classes == classes


def test_class_of_many_bytes_raises_data_error(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "1.png")
        add(tar, "1.cls", b"x" * 70_000)
    with pytest.raises(DataError, match=r"1\.cls of .*a\.tar is no class: it has 70000 bytes"):
        open_source(tmp_path / "a.tar")


@pytest.mark.parametrize("folders", [False, True])
def test_classes_of_unlabeled_shards_are_their_folders(tmp_path: Path, folders: bool) -> None:
    for shard in range(3):
        with tarfile.open(tmp_path / f"{shard:05d}.tar", "w") as tar:
            for number in range(4):
                folder = f"{'ab'[number % 2]}/" if folders else ""
                add(tar, f"{folder}{shard:05d}{number:04d}.jpg")
    for location in (tmp_path, tmp_path / "{00000..00002}.tar", tmp_path / "*.tar"):
        source = open_source(location)
        assert len(source.names) == 12
        assert source.classes == (("a", "b") if folders else None)
        assert source.labels == ((0, 0, 1, 1) * 3 if folders else None)


def test_level_of_a_data_set_is_a_source(dataset: Path, tmp_path: Path) -> None:
    again = prepare(dataset / "0016", tmp_path / "again", 16, workers=1)
    assert again.num_samples == 70
    assert again.class_counts == [12, 12, 12, 12, 11, 11]


def test_our_shards_are_a_source(tmp_path: Path) -> None:
    with shard_writers([tmp_path / "a.tar"]) as (writer,):
        writer.add(0, "webp", b"first", label=1)
        writer.add(5, "webp", b"second", label=0)
    source = open_source(tmp_path / "a.tar")
    assert list(contents(source).values()) == [b"first", b"second"]
    assert source.labels == (1, 0)
    assert zlib.crc32(source.read(1)) == zlib.crc32(b"second")
