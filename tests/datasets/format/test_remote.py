"""A data set behind a URL is read as one in a folder, and copied meanwhile."""

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
def stored(dataset: Path) -> Iterator[str]:
    """The data set in fsspec's storage in memory, which is like any other to us."""
    files = fsspec.filesystem("memory")
    files.put(str(dataset), "/bucket/shapes", recursive=True)
    yield URL
    files.rm("/bucket", recursive=True)


def batches(path: str, cache: Path, **options: object) -> Batches:
    spec = DataSpec(path=path, cache_folder=cache, cache_gb=0)
    return Batches(spec, 16, seed=5, batch=14, rank=0, world_size=1)


def copies(cache: Path) -> int:
    return len(list((cache / "shards").rglob("*.tar")))


def test_the_same_pictures_before_and_after_shards_are_copied(
    stored: str, dataset: Path, tmp_path: Path
) -> None:
    with batches(str(dataset), tmp_path) as local, batches(stored, tmp_path) as far:
        for number in range(20):
            here, there = next(local), next(far)
            assert torch.equal(here.images, there.images)
            if number == 10:
                deadline = time.monotonic() + 20
                while copies(tmp_path) < 3 and time.monotonic() < deadline:
                    time.sleep(0.01)
    assert copies(tmp_path) == 3
    assert not list(tmp_path.rglob(".*.tmp"))


def test_copies_are_used_by_the_next_run(stored: str, tmp_path: Path) -> None:
    for tries in range(100):
        with batches(stored, tmp_path) as far:
            next(far)
            time.sleep(0.01 * tries)
        if copies(tmp_path) == 3:
            break
    fsspec.filesystem("memory").rm("/bucket/shapes/0016/000000.tar")
    with batches(stored, tmp_path) as far:
        for _ in range(5):
            next(far)


def test_a_shard_that_is_not_there(
    stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PAUSES_SECONDS", ())
    fsspec.filesystem("memory").rm("/bucket/shapes/0016/000000.tar")
    with (
        batches(stored, tmp_path) as far,
        pytest.raises(DataError, match=r"cannot read memory://bucket/shapes/0016/000000\.tar"),
    ):
        far.fixed(0, 1)


def test_a_damaged_shard_is_not_copied(stored: str, tmp_path: Path) -> None:
    path = "/bucket/shapes/0016/000002.tar"
    files = fsspec.filesystem("memory")
    files.pipe(path, files.cat(path)[:-1] + b"x")
    with batches(stored, tmp_path) as far:
        deadline = time.monotonic() + 20
        with pytest.raises(DataError, match="its SHA-256 differs"):
            while time.monotonic() < deadline:
                far.fixed(64, 6)
    (problem,) = verify(stored, load_manifest(stored))
    assert "0016/000002.tar has changed" in problem


def test_an_unsteady_network_is_tried_again(
    stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PAUSES_SECONDS", (0.0, 0.0))
    files, failures = fsspec.filesystem("memory"), [2]
    whole = files.cat_file

    def unsteady(*arguments: object, **options: object) -> bytes:
        failures[0] -= 1
        if failures[0] >= 0:
            raise ConnectionError("reset by peer")
        content: bytes = whole(*arguments, **options)
        return content

    monkeypatch.setattr(type(files), "cat_file", staticmethod(unsteady))
    with batches(stored, tmp_path) as far:
        assert len(far.fixed(0, 3).images) == 3
    assert failures[0] < 0


def test_no_data_set_there() -> None:
    with pytest.raises(DataError, match="memory://nothing does not exist"):
        load_manifest("memory://nothing")


def test_a_missing_library_says_how_to_get_it() -> None:
    with pytest.raises(DataError, match=r"cannot open nosuch://x: .*progan\[remote\]"):
        load_manifest("nosuch://x")


def test_what_is_a_url(tmp_path: Path) -> None:
    assert is_url("s3://bucket/faces")
    assert not is_url(tmp_path)
    assert not is_url("run:1/faces")
    assert absolute("gs://bucket/faces") == "gs://bucket/faces"
    assert absolute(f"file://{tmp_path}") == str(tmp_path)
    assert DataSpec(path="faces").absolute().path == str(Path.cwd() / "faces")


def test_a_url_of_a_local_file_is_a_folder(dataset: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(dataset, tmp_path / "copy")
    assert load_manifest(f"file://{copied}").num_samples == 70
