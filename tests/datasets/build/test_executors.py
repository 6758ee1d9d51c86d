"""Whoever does the work, the bytes are the same."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from progan.datasets.build import shard_job
from progan.datasets.build.prepare import prepare
from progan.datasets.errors import DataError
from progan.datasets.format.manifest import Versions
from progan.datasets.format.options import Options

distributed = pytest.importorskip("distributed")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A Dask cluster of two worker processes on this machine."""
    cluster: Any = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    )
    yield cluster.scheduler_address
    cluster.close()


def test_threads(drawn: Path, dataset: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as threads:
        prepare(drawn, tmp_path / "d", 16, executor=threads)
    assert contents(tmp_path / "d") == contents(dataset)


def test_a_dask_cluster(drawn: Path, dataset: Path, tmp_path: Path, scheduler: str) -> None:
    prepare(drawn, tmp_path / "d", 16, executor=scheduler)
    assert contents(tmp_path / "d") == contents(dataset)


def test_errors_come_back_from_a_cluster(drawn: Path, tmp_path: Path, scheduler: str) -> None:
    options = Options(small="error")
    with pytest.raises(DataError, match="20 x 20 is smaller than 32 x 32"):
        prepare(drawn, tmp_path / "d", 32, executor=scheduler, options=options)


def test_no_scheduler(monkeypatch: pytest.MonkeyPatch, drawn: Path, tmp_path: Path) -> None:
    monkeypatch.setattr("progan.datasets.build.executors._CONNECT_SECONDS", 1)
    with pytest.raises(DataError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        prepare(drawn, tmp_path / "d", 16, executor="tcp://127.0.0.1:9")


def test_a_machine_with_other_libraries_is_refused(
    monkeypatch: pytest.MonkeyPatch, drawn: Path, tmp_path: Path
) -> None:
    other = Versions(progan="0", pillow="1.0", libwebp="0.1")
    monkeypatch.setattr(shard_job, "current_versions", lambda: other)
    with ThreadPoolExecutor(1) as threads, pytest.raises(DataError, match="install the same"):
        prepare(drawn, tmp_path / "d", 16, executor=threads)
