"""Shards are plain tar files, the same every time, and damage is noticed."""

import gc
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset

from progan.datasets.errors import DataError
from progan.datasets.format.shards import NO_LABEL, Index, intact, parse_index, shard_writers

RECORDS = [(3, b"first" * 200, 2), (17, b"second", 0)]


def write(path: Path) -> Path:
    with shard_writers([path]) as (writer,):
        for index, data, label in RECORDS:
            writer.add(index, "webp", data, label)
    return path


def index_of(path: Path) -> Index:
    return parse_index(path.with_suffix(".npy").read_bytes(), "index")


def read(path: Path, record: np.void) -> bytes:
    return path.read_bytes()[record["offset"] :][: record["size"]]


def test_records_are_read_back(tmp_path: Path) -> None:
    path = write(tmp_path / "000000.tar")
    index = index_of(path)
    assert [read(path, record) for record in index] == [data for _, data, _ in RECORDS]
    assert all(intact(read(path, record), record) for record in index)
    assert index["label"].tolist() == [2, 0]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.tar"), write(tmp_path / "b.tar")
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".npy").read_bytes() == second.with_suffix(".npy").read_bytes()


def test_members_tell_nothing_of_who_wrote_them_when(tmp_path: Path) -> None:
    with tarfile.open(write(tmp_path / "a.tar")) as tar:
        members = tar.getmembers()
    names = ["000000003.webp", "000000003.cls", "000000017.webp", "000000017.cls"]
    assert [m.name for m in members] == names
    assert {(m.mtime, m.uid, m.gid, m.uname, m.pax_headers.get("x")) for m in members} == {
        (0, 0, 0, "", None)
    }


def test_a_shard_is_what_tarfile_would_write(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar")
    members = [("000000003.webp", RECORDS[0][1]), ("000000003.cls", b"2")]
    members += [("000000017.webp", RECORDS[1][1]), ("000000017.cls", b"0")]
    with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert path.read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="stop"),
        shard_writers([tmp_path / "a.tar"]) as (writer,),
    ):
        writer.add(0, "webp", b"data", NO_LABEL)
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "a.tar")
    record = index_of(path)[0]
    content = bytearray(path.read_bytes())
    content[int(record["offset"]) + 7] ^= 1
    path.write_bytes(content if damage == "flip" else content[:600])
    assert not intact(read(path, record), record)


@pytest.mark.parametrize("content", [b"", b"not an index"])
def test_a_broken_index_is_bad_data(content: bytes) -> None:
    with pytest.raises(DataError, match=r"cannot read the shard index 0016/000000\.npy"):
        parse_index(content, "0016/000000.npy")


def test_an_index_of_something_else_is_bad_data() -> None:
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    with pytest.raises(DataError, match="is not a shard index"):
        parse_index(content.getvalue(), "a.npy")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset's own
def test_webdataset_opens_a_prepared_shard(dataset: Path) -> None:
    shards = sorted(str(path) for path in (dataset / "0016").glob("*.tar"))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    gc.collect()  # while the warning is still ignored
    assert len(samples) == 70
    assert samples[0]["webp"].shape == (16, 16, 3)
    assert samples[0]["webp"].dtype == np.uint8
    assert {sample["cls"] for sample in samples} == set(range(6))
