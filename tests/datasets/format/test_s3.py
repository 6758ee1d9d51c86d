"""Data sets and sources on S3, read from a real server through s3fs."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from progan.datasets.build.prepare import prepare
from progan.datasets.errors import DataError
from progan.datasets.format import remote
from progan.datasets.format.location import Location
from progan.datasets.format.manifest import load_manifest
from progan.datasets.format.reader import Level
from progan.datasets.format.verify import verify

URL = "s3://bucket/data/shapes"


@pytest.fixture(scope="module")
def bucket(dataset: Path) -> Iterator[Any]:
    """s3fs, with the data set at URL, on a server that every s3fs of this process uses."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setattr(remote, "_PAUSES_SECONDS", ())
        s3fs.S3FileSystem.clear_instance_cache()
        files = s3fs.S3FileSystem()
        files.mkdir("bucket")
        files.put(str(dataset), "bucket/data/shapes", recursive=True)
        yield files
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def spoiled(bucket: Any, dataset: Path) -> Iterator[Any]:
    """s3fs, to spoil objects at URL, which are as before after the test."""
    yield bucket
    for path in (dataset / "0016").iterdir():
        bucket.put_file(str(path), f"bucket/data/shapes/0016/{path.name}")


def level(location: Location, cache: Path, resolution: int = 16) -> Level:
    return Level(location, load_manifest(location), resolution, cache_folder=cache)


@pytest.mark.parametrize("resolution", [4, 8, 16])
def test_level_has_the_same_bytes_as_a_folder(
    bucket: Any, dataset: Path, tmp_path: Path, resolution: int
) -> None:
    local, found = level(dataset, tmp_path, resolution), level(URL, tmp_path, resolution)
    assert [found.read(n) for n in range(70)] == [local.read(n) for n in range(70)]
    assert np.array_equal(found.labels, local.labels)
    found.close()


def test_intact_copy_has_no_problems(bucket: Any) -> None:
    assert verify(URL, load_manifest(URL)) == []


def test_object_that_is_cut_short_is_named(spoiled: Any, tmp_path: Path) -> None:
    path = "bucket/data/shapes/0016/000001.tar"
    spoiled.pipe(path, spoiled.cat(path)[:2000])
    found = level(URL, tmp_path)
    with pytest.raises(DataError, match=r"s3://bucket/data/shapes/0016/000001\.tar"):
        for number in range(32, 64):
            found.read(number)
    found.close()
    (problem,) = verify(URL, load_manifest(URL))
    assert "0016/000001.tar has 2000 bytes" in problem


@pytest.mark.parametrize("name", ["000001.tar", "000001.npy"])
def test_missing_object_is_named(spoiled: Any, tmp_path: Path, name: str) -> None:
    spoiled.rm(f"bucket/data/shapes/0016/{name}")
    with pytest.raises(DataError, match=rf"s3://bucket/data/shapes/0016/{name}"):
        level(URL, tmp_path).read(40)


def test_missing_data_set_is_no_other_error(bucket: Any) -> None:
    for url in ("s3://bucket/nothing", "s3://nobucket/nothing"):
        with pytest.raises(DataError, match=f"{url} does not exist: make one with"):
            load_manifest(url)


def build(source: str, dataset: Path) -> str:
    with ThreadPoolExecutor(1) as threads:
        return prepare(source, dataset, 8, executor=threads).fingerprint


def test_tar_files_on_s3_are_a_source(bucket: Any, dataset: Path, tmp_path: Path) -> None:
    expected = build(f"{dataset}/0016/{{000000..000002}}.tar", tmp_path / "local")
    assert build(f"{URL}/0016/{{000000..000002}}.tar", tmp_path / "remote") == expected
    assert not (tmp_path / "remote" / "source.tmp").exists()


@pytest.mark.parametrize("name", ["0016/", "0016", "9999/000000.tar", "0016/0000*.tar", ""])
def test_what_is_no_tar_file_on_s3_says_what_works(bucket: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(
        DataError, match=r"/shapes/\S* does .* such as s3://BUCKET/part-\{000\.\.099"
    ):
        build(f"{URL}/{name}", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_tar_file_that_is_cut_short_on_s3_is_named(
    bucket: Any, dataset: Path, tmp_path: Path
) -> None:
    shutil.copy(dataset / "0016" / "000000.tar", tmp_path / "a.tar")
    bucket.pipe("bucket/cut.tar", (tmp_path / "a.tar").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"^s3://bucket/cut\.tar is damaged at byte 2,048"):
        build("s3://bucket/cut.tar", tmp_path / "d")
