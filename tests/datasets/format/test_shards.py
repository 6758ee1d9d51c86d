"""Shards are plain tar files with deterministic bytes; damage is detected."""

import gc
import io
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from progan.datasets.errors import DataError
from progan.datasets.files import sha256_file
from progan.datasets.format.manifest import load_manifest
from progan.datasets.format.reader import Level
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


def test_index_locates_records(tmp_path: Path) -> None:
    path = write(tmp_path / "000000.tar")
    index = index_of(path)
    assert [read(path, record) for record in index] == [data for _, data, _ in RECORDS]
    assert all(intact(read(path, record), record) for record in index)
    assert index["label"].tolist() == [2, 0]


def test_bytes_are_deterministic(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.tar"), write(tmp_path / "b.tar")
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".npy").read_bytes() == second.with_suffix(".npy").read_bytes()


def test_headers_have_no_user_and_no_time(tmp_path: Path) -> None:
    with tarfile.open(write(tmp_path / "a.tar")) as tar:
        members = tar.getmembers()
    names = ["000000003.webp", "000000003.cls", "000000017.webp", "000000017.cls"]
    assert [m.name for m in members] == names
    assert {(m.mtime, m.uid, m.gid, m.uname, m.pax_headers.get("x")) for m in members} == {
        (0, 0, 0, "", None)
    }


def test_bytes_equal_those_of_tarfile(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar")
    members = [("000000003.webp", RECORDS[0][1]), ("000000003.cls", b"2")]
    members += [("000000017.webp", RECORDS[1][1]), ("000000017.cls", b"0")]
    with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert path.read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_bytes_are_those_of_earlier_versions(tmp_path: Path) -> None:
    # Do not edit these checksums: manifests of existing data sets hold such ones.
    path = write(tmp_path / "a.tar")
    assert [sha256_file(path)[:16], sha256_file(path.with_suffix(".npy"))[:16]] == [
        "f1a8f4199f0a063b",
        "78fb96d3ddfe48e3",
    ]


def test_size_and_checksum_of_the_writer_are_those_of_the_file(tmp_path: Path) -> None:
    with shard_writers([tmp_path / "a.tar"]) as (writer,):
        for number in range(40):
            writer.add(number, "npy", bytes(number * 100))
    assert writer.num_bytes == (tmp_path / "a.tar").stat().st_size
    assert writer.sha256 == sha256_file(tmp_path / "a.tar")


def test_failed_writer_leaves_no_files(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="stop"),
        shard_writers([tmp_path / "a.tar"]) as (writer,),
    ):
        writer.add(0, "webp", b"data", NO_LABEL)
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damaged_record_is_not_intact(tmp_path: Path, damage: str) -> None:
    path = write(tmp_path / "a.tar")
    record = index_of(path)[0]
    content = bytearray(path.read_bytes())
    content[int(record["offset"]) + 7] ^= 1
    path.write_bytes(content if damage == "flip" else content[:600])
    assert not intact(read(path, record), record)


@pytest.mark.parametrize("content", [b"", b"not an index"])
def test_damaged_index_raises_data_error(content: bytes) -> None:
    with pytest.raises(DataError, match=r"cannot read the shard index 0016/000000\.npy"):
        parse_index(content, "0016/000000.npy")


def test_other_array_as_index_raises_data_error() -> None:
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    with pytest.raises(DataError, match="is not a shard index"):
        parse_index(content.getvalue(), "a.npy")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # in webdataset
def test_webdataset_reads_shards_as_documented(dataset: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "data.md"
    (code,) = re.findall(r"```python\n(import webdataset.*?)```", page.read_text(), re.DOTALL)
    found: list[tuple[np.ndarray, int]] = []
    code = code.replace("data/photos/0256", str(dataset / "0016")).replace("000117", "000002")
    code = code.replace("print(picture.shape, label)", "found.append((picture, label))")
    exec(code, {"found": found})
    gc.collect()  # while the warning is ignored
    assert len(found) == 70
    assert {(picture.shape, picture.dtype.name) for picture, _ in found} == {((16, 16, 3), "uint8")}
    level = Level(dataset, load_manifest(dataset), 16)
    assert level.labels.tolist() == [label for _, label in found]
    assert (level.pictures(np.arange(70)).transpose(0, 2, 3, 1) == [p for p, _ in found]).all()
    level.close()
