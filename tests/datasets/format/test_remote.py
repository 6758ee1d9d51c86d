"""A data set at a URL gives the same pictures as one in a folder, and its shards are copied."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import torch

from progan.datasets.errors import DataError
from progan.datasets.format import remote
from progan.datasets.format.location import absolute, is_url
from progan.datasets.format.manifest import load_manifest
from progan.datasets.format.verify import verify
from progan.datasets.loader import Batches
from progan.datasets.spec import DataSpec

URL = "memory://bucket/shapes"


@pytest.fixture
def url(dataset: Path) -> Iterator[str]:
    """The URL of a copy of the data set in fsspec's memory file system."""
    files = fsspec.filesystem("memory")
    files.put(str(dataset), "/bucket/shapes", recursive=True)
    yield URL
    files.rm("/bucket", recursive=True)


def batches(path: str, cache: Path, **options: object) -> Batches:
    spec = DataSpec(path=path, cache_folder=cache, cache_gb=0)
    return Batches(spec, 16, seed=5, batch=14, rank=0, world_size=1)


def copies(cache: Path) -> int:
    return len(list((cache / "shards").rglob("*.tar")))


def test_pictures_do_not_change_when_shards_are_copied(
    url: str, dataset: Path, tmp_path: Path
) -> None:
    with batches(str(dataset), tmp_path) as local, batches(url, tmp_path) as remote_batches:
        for number in range(20):
            expected, found = next(local), next(remote_batches)
            assert torch.equal(found.images(), expected.images())
            if number == 10:
                deadline = time.monotonic() + 20
                while copies(tmp_path) < 3 and time.monotonic() < deadline:
                    time.sleep(0.01)
    assert copies(tmp_path) == 3
    assert not list(tmp_path.rglob(".*.tmp"))


def test_next_run_uses_copied_shards(url: str, tmp_path: Path) -> None:
    for tries in range(100):
        with batches(url, tmp_path) as remote_batches:
            next(remote_batches)
            time.sleep(0.01 * tries)
        if copies(tmp_path) == 3:
            break
    fsspec.filesystem("memory").rm("/bucket/shapes/0016/000000.tar")
    with batches(url, tmp_path) as remote_batches:
        for _ in range(5):
            next(remote_batches)


def test_missing_shard_raises_data_error(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PAUSES_SECONDS", ())
    fsspec.filesystem("memory").rm("/bucket/shapes/0016/000000.tar")
    with (
        batches(url, tmp_path) as remote_batches,
        pytest.raises(DataError, match=r"cannot read memory://bucket/shapes/0016/000000\.tar"),
    ):
        remote_batches.fixed(0, 1)


def test_damaged_shard_is_not_copied(url: str, tmp_path: Path) -> None:
    path = "/bucket/shapes/0016/000002.tar"
    files = fsspec.filesystem("memory")
    files.pipe(path, files.cat(path)[:-1] + b"x")
    with batches(url, tmp_path) as remote_batches:
        deadline = time.monotonic() + 20
        with pytest.raises(DataError, match="its SHA-256 differs"):
            while time.monotonic() < deadline:
                remote_batches.fixed(64, 6)
    (problem,) = verify(url, load_manifest(url))
    assert "0016/000002.tar has changed" in problem


def test_failed_requests_are_repeated(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PAUSES_SECONDS", (0.0, 0.0))
    files, failures = fsspec.filesystem("memory"), [2]
    whole = files.cat_file

    def flaky(*arguments: object, **options: object) -> bytes:
        failures[0] -= 1
        if failures[0] >= 0:
            raise ConnectionError("reset by peer")
        content: bytes = whole(*arguments, **options)
        return content

    monkeypatch.setattr(type(files), "cat_file", staticmethod(flaky))
    with batches(url, tmp_path) as remote_batches:
        assert len(remote_batches.fixed(0, 3).pixels) == 3
    assert failures[0] < 0


def test_url_without_data_set_raises_data_error() -> None:
    with pytest.raises(DataError, match="memory://nothing does not exist"):
        load_manifest("memory://nothing")


def test_missing_fsspec_library_names_the_extra() -> None:
    with pytest.raises(DataError, match=r"cannot open nosuch://x: .*progan\[remote\]"):
        load_manifest("nosuch://x")


def test_urls_and_paths_are_distinguished(tmp_path: Path) -> None:
    assert is_url("s3://bucket/faces")
    assert not is_url(tmp_path)
    assert not is_url("run:1/faces")
    assert absolute("gs://bucket/faces") == "gs://bucket/faces"
    assert absolute(f"file://{tmp_path}") == str(tmp_path)
    assert DataSpec(path="faces").absolute().path == str(Path.cwd() / "faces")


def test_file_url_is_a_folder(dataset: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(dataset, tmp_path / "copy")
    assert load_manifest(f"file://{copied}").num_samples == 70
