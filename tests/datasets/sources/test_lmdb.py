"""LMDBs: whole ones are read, damaged ones end no process."""

import pickle
import random
import sys
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from progan.datasets.errors import DataError
from progan.datasets.sources.source import open_source

PAGE = 4096


def make(folder: Path, keys: list[bytes], size: int = 0) -> Path:
    with lmdb.open(str(folder), map_size=1 << 26) as environment:
        with environment.begin(write=True) as transaction:
            for key in keys:
                transaction.put(key, b"picture " + key + bytes(size))
    return folder


def test_values_are_pictures(tmp_path: Path) -> None:
    folder = make(tmp_path / "bedrooms", [b"b", b"a", b"\xff", b"length", b"\n"])
    source = pickle.loads(pickle.dumps(open_source(folder)))
    contents = [source.read(n) for n in range(4)]
    assert contents == [b"picture \n", b"picture a", b"picture b", b"picture \xff"]
    assert source.labels is None


def cut(part: float) -> Callable[[bytearray], None]:
    def damage(content: bytearray) -> None:
        del content[int(part * len(content)) :]

    return damage


def garbage(content: bytearray) -> None:
    content[2 * PAGE :] = random.Random(0).randbytes(len(content) - 2 * PAGE)


def another_size(content: bytearray) -> None:
    """Reading the last value would leave the file."""
    at = content.index(b"00099", 2 * PAGE)
    content[at - 8 : at - 4] = (200_000_000).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut(0), "is not an LMDB that can be read"),
        (cut(0.01), "is not an LMDB that can be read"),
        (cut(0.1), r"data\.mdb has 42,188 of 421,888 bytes\. Copy or download it again"),
        (cut(0.5), r"data\.mdb has 210,944 of 421,888 bytes\. Copy or download it again"),
        (cut(0.99), r"data\.mdb has 417,669 of 421,888 bytes\. Copy or download it again"),
        (garbage, "is not an LMDB that can be read: mdb_cursor_get: MDB_"),
        (another_size, r"data\.mdb is damaged: reading it ends in SIG(BUS|SEGV)\. Copy or"),
        (lambda content: content.__setitem__(slice(None), b"something else" * 1000), "is not an"),
    ],
)
def test_damaged_file_raises_data_error(
    tmp_path: Path, damage: Callable[[bytearray], None], message: str
) -> None:
    file = make(tmp_path / "d", [b"%05d" % number for number in range(100)], 3000) / "data.mdb"
    content = bytearray(file.read_bytes())
    damage(content)
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / "d")


def test_process_that_a_damaged_file_kills_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "d", [b"a"])
    killed = tmp_path / "killed"
    killed.write_text("#!/bin/sh\nkill -BUS $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killed))
    with pytest.raises(
        DataError, match=r"d/data\.mdb is damaged: reading it ends in SIGBUS\. Copy"
    ):
        open_source(tmp_path / "d")
