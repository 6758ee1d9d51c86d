"""Shards are plain tar files, the same every time, and damage is noticed."""

import gc
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset

from progan.datasets.errors import DataError
from progan.datasets.shards import NO_LABEL, read_index, read_record, shard_writer

RECORDS = [(3, b"first" * 200, 2), (17, b"second", 0)]


def write(path: Path) -> Path:
    with shard_writer(path) as writer:
        for index, data, label in RECORDS:
            writer.add(index, "webp", data, label)
    return path


def test_records_are_read_back(tmp_path: Path) -> None:
    path = write(tmp_path / "000000.tar")
    index = read_index(path)
    with path.open("rb") as file:
        read = [read_record(file.fileno(), record) for record in index]
    assert read == [data for _, data, _ in RECORDS]
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


def test_a_failed_writer_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), shard_writer(tmp_path / "a.tar") as writer:
        writer.add(0, "webp", b"data", NO_LABEL)
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damage_is_noticed(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "a.tar")
    record = read_index(path)[0]
    content = bytearray(path.read_bytes())
    content[int(record["offset"]) + 7] ^= 1
    path.write_bytes(content if damage == "flip" else content[:600])
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert read_record(descriptor, record) is None
    finally:
        os.close(descriptor)


def test_a_broken_index_is_bad_data(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar")
    path.with_suffix(".npy").write_bytes(b"not an index")
    with pytest.raises(DataError, match="cannot read the shard index"):
        read_index(path)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset's own
def test_webdataset_opens_a_prepared_shard(dataset: Path) -> None:
    shards = sorted(str(path) for path in (dataset / "0016").glob("*.tar"))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    gc.collect()  # while the warning is still ignored
    assert len(samples) == 70
    assert samples[0]["webp"].shape == (16, 16, 3)
    assert samples[0]["webp"].dtype == np.uint8
    assert {sample["cls"] for sample in samples} == set(range(6))
