"""A damaged tar file is an error that says where, on every path by which tar files are read."""

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from progan.datasets.errors import DataError
from progan.datasets.sources.listing import Scratch
from progan.datasets.sources.source import open_source

BLOCK = tarfile.BLOCKSIZE
Damage = Callable[[bytearray, int], None]
NUM, INTACT = 8, 5


def tar_bytes(first: int = 0) -> bytearray:
    """A tar file of eight pictures of 1,500 bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for number in range(first, first + NUM):
            member = tarfile.TarInfo(f"{number:02d}.png")
            member.size = 1500
            tar.addfile(member, io.BytesIO(b"%02d" % number * 750))
    return bytearray(buffer.getvalue())


HEADER = INTACT * (BLOCK + 1536)
"""Where the sixth picture's header begins"""


def header(tar: bytearray, **fields: bytes) -> bytes:
    """The sixth picture's header with other fields and the right checksum."""
    block = bytearray(tar[HEADER : HEADER + BLOCK])
    for name, value in fields.items():
        at = {"size": 124, "type": 156}[name]
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def replaced(**fields: bytes) -> Damage:
    def damage(tar: bytearray, at: int) -> None:
        tar[at : at + BLOCK] = header(tar, **fields)

    return damage


def written(content: bytes) -> Damage:
    def damage(tar: bytearray, at: int) -> None:
        tar[at : at + len(content)] = content

    return damage


def cut(after: int) -> Damage:
    def damage(tar: bytearray, at: int) -> None:
        del tar[at + after :]

    return damage


def base_256(number: int) -> bytes:
    return (number % (1 << 96) | 1 << 95).to_bytes(12, "big")


def extended(*records: tuple[bytes, bytes], kind: bytes = b"x") -> Damage:
    """With an extended header before the sixth picture's own."""

    def damage(tar: bytearray, at: int) -> None:
        body = b""
        for name, value in records:
            rest = b" " + name + b"=" + value + b"\n"
            length = next(n for n in range(len(rest), 10**7) if len(str(n)) + len(rest) == n)
            body += str(length).encode() + rest
        first = header(tar, type=kind, size=b"%011o\0" % len(body))
        tar[at:at] = first + body + bytes(-len(body) % BLOCK)

    return damage


def chained(tar: bytearray, at: int) -> None:
    tar[at:at] = (header(tar, type=b"L", size=b"%011o\0" % 2) + b"a".ljust(BLOCK, b"\0")) * 5000


LARGE = base_256(1 << 62)
DAMAGES: dict[str, tuple[Damage, str]] = {
    "bit of a name": (written(b"X"), r"bad checksum"),
    "garbage": (written(bytes(range(1, 255)) * 8), "a header cannot be read"),
    "a block of zeros": (written(bytes(BLOCK)), "512 bytes of zeros in place of a header"),
    "two members of zeros": (written(bytes(2 * 2048)), "4,096 bytes of zeros in place"),
    "cut before a header": (cut(0), "the file ends before the tar file does"),
    "cut in a header": (cut(200), "the file ends before the tar file does"),
    "cut in a picture": (cut(700), r"05\.png should have 1,500 bytes, and the file ends within"),
    "8 EiB": (replaced(size=base_256(1 << 63)), "should have 9,223,372,036,854,775,808 bytes"),
    "negative size": (replaced(size=base_256(-6000)), r"05\.png has -6,000 bytes"),
    "size that is text": (replaced(size=b"hello world\0"), "invalid header"),
    "huge name": (replaced(type=b"L", size=LARGE), "it has 4611686018427387904 bytes"),
    "huge extended header": (replaced(type=b"x", size=LARGE), "a header cannot be read"),
    "negative extended header": (replaced(type=b"g", size=base_256(-9)), "a header cannot be read"),
    "negative extended size": (extended((b"size", b"-5000")), r"05\.png has -5,000 bytes"),
    "digits": (extended((b"comment", b"7" * 500_000)), "more than 1000 digits"),
    "sparse map": (extended((b"GNU.sparse.map", b"a,b")), "it makes no sense"),
    "sparse 1.0": (
        extended((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")),
        "it makes no sense",
    ),
    "unknown charset": (extended((b"hdrcharset", b"\xff")), "it makes no sense"),
    "zero byte in a name": (extended((b"path", b"a\0.png")), r"name a\\x00\.png holds a zero byte"),
    "thousands of names": (chained, "it makes no sense"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_located(tmp_path: Path, name: str) -> None:
    damage, reason = DAMAGES[name]
    tar = tar_bytes()
    damage(tar, HEADER)
    (tmp_path / "a.tar").write_bytes(tar)
    with pytest.raises(DataError, match=reason) as caught:
        open_source(tmp_path / "a.tar")
    where = f"{tmp_path}/a.tar is damaged at byte {HEADER:,}, after 5 pictures: "
    assert str(caught.value).startswith(where)


@pytest.mark.parametrize(
    "source",
    ["{0}", "{0}/*.tar", "{0}/{{0..1}}.tar", "{0}/0.tar::{0}/1.tar", "pipe:cat {0}/{{0..1}}.tar",
     "pipe:gzip -dc {0}/1.tar.gz", "file://{0}/1.tar"],
)  # fmt: skip
def test_damage_is_found_on_every_path(tmp_path: Path, source: str) -> None:
    tar = tar_bytes(first=10)
    (tmp_path / "0.tar").write_bytes(tar_bytes())
    tar[HEADER : HEADER + BLOCK] = bytes(BLOCK)
    (tmp_path / "1.tar").write_bytes(tar)
    (tmp_path / "1.tar.gz").write_bytes(gzip.compress(tar))
    with pytest.raises(DataError, match=r"/1\.tar\S* is damaged at byte 10,240, after 5 pictures"):
        open_source(source.format(tmp_path), scratch=Scratch(tmp_path / "source.tmp"))


def test_message_names_the_url_of_a_damaged_copy(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(tar_bytes())
    scratch = Scratch(tmp_path / "source.tmp")
    location = f"pipe:cat {tmp_path}/0.tar"
    open_source(location, scratch=scratch)
    (copy,) = scratch.folder.iterdir()
    copy.write_bytes(tar_bytes()[:HEADER])
    with pytest.raises(DataError, match=r"^pipe:cat \S+/0\.tar is damaged at byte 10,240"):
        open_source(location, scratch=scratch)


@pytest.mark.parametrize("end", [2 * BLOCK, 10240, 3 * 10240])
def test_joined_tar_files_are_read_wholly(tmp_path: Path, end: int) -> None:
    """Of programs that write two blocks of zeros at the end, and of those that fill a record."""
    first = tar_bytes()[: NUM * 2048]
    first += bytes(end if end == 2 * BLOCK else end - len(first) % end)
    (tmp_path / "a.tar").write_bytes(first + tar_bytes(first=NUM) + tar_bytes(first=2 * NUM))
    source = open_source(tmp_path / "a.tar")
    assert source.names == tuple(f"{number:02d}.png" for number in range(3 * NUM))
    assert source.read(2 * NUM)[:4] == b"1616"


@pytest.mark.parametrize(
    ("end", "whole"),
    [(b"", True), (bytes(100), True), (bytes(1 << 20), True), (b"x", False), (b"x" * BLOCK, False),
     (bytes(4 << 20), False)],
)  # fmt: skip
def test_only_padding_may_follow_the_end(tmp_path: Path, end: bytes, whole: bool) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes() + end)
    if whole:
        assert len(open_source(tmp_path / "a.tar").names) == NUM
    else:
        with pytest.raises(DataError, match=r"is damaged at byte .*, after 8 pictures"):
            open_source(tmp_path / "a.tar")


def test_damaged_first_header_is_no_unknown_kind(tmp_path: Path) -> None:
    tar = tar_bytes()
    tar[0] ^= 1
    (tmp_path / "a.tar").write_bytes(tar)
    with pytest.raises(DataError, match=r"a\.tar is not a tar file, or damaged: copy or download"):
        open_source(tmp_path / "a.tar")


def test_sparse_member_is_rejected(tmp_path: Path) -> None:
    tar = tar_bytes()
    extended((b"GNU.sparse.map", b"0,10"), (b"GNU.sparse.size", b"10"))(tar, HEADER)
    (tmp_path / "a.tar").write_bytes(tar)
    source = open_source(tmp_path / "a.tar")
    assert len(source.names) == NUM - 1
    assert source.rejected == (("05.png", "not a regular file"),)


def test_tar_file_that_ends_with_a_zip_is_a_tar_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("other.png", b"-")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "b.zip", "b.zip")
    content = (tmp_path / "a.tar").read_bytes().rstrip(b"\0") + bytes(2 * BLOCK)
    content += bytes(-len(content) % BLOCK)
    (tmp_path / "a.tar").write_bytes(tar_bytes()[: NUM * 2048] + content)
    assert zipfile.is_zipfile(tmp_path / "a.tar")
    assert len(open_source(tmp_path / "a.tar").names) == NUM


def test_few_of_many_shards_are_open_at_once(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number:05d}.tar").write_bytes(tar_bytes())
    source = open_source(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(0, len(source.names), NUM):
        assert source.read(number)[:2] == b"00"
    assert len(os.listdir("/proc/self/fd")) - before <= 130
