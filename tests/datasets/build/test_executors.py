"""All executors write the same bytes."""

import subprocess
import sys
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


def test_threads_write_the_same_bytes(pictures: Path, dataset: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as threads:
        prepare(pictures, tmp_path / "d", 16, executor=threads)
    assert contents(tmp_path / "d") == contents(dataset)


def test_script_without_a_main_guard_prepares(
    pictures: Path, dataset: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from progan.datasets.build.prepare import prepare\n"
        f"prepare({str(pictures)!r}, Path({str(tmp_path / 'd')!r}), 16)\n"
    )
    subprocess.run([sys.executable, script], check=True)
    assert contents(tmp_path / "d") == contents(dataset)


def test_dask_cluster_writes_the_same_bytes(
    pictures: Path, dataset: Path, tmp_path: Path, scheduler: str
) -> None:
    prepare(pictures, tmp_path / "d", 16, executor=scheduler)
    assert contents(tmp_path / "d") == contents(dataset)


def test_errors_of_dask_workers_are_raised(pictures: Path, tmp_path: Path, scheduler: str) -> None:
    options = Options(small="error")
    with pytest.raises(DataError, match="20 x 20 is smaller than 32 x 32"):
        prepare(pictures, tmp_path / "d", 32, executor=scheduler, options=options)


def test_missing_dask_scheduler_raises_data_error(
    monkeypatch: pytest.MonkeyPatch, pictures: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("progan.datasets.build.executors._CONNECT_SECONDS", 1)
    with pytest.raises(DataError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        prepare(pictures, tmp_path / "d", 16, executor="tcp://127.0.0.1:9")


def test_worker_with_other_library_versions_raises_data_error(
    monkeypatch: pytest.MonkeyPatch, pictures: Path, tmp_path: Path
) -> None:
    other = Versions(progan="0", pillow="1.0", libwebp="0.1")
    monkeypatch.setattr(shard_job, "current_versions", lambda: other)
    with ThreadPoolExecutor(1) as threads, pytest.raises(DataError, match="install the same"):
        prepare(pictures, tmp_path / "d", 16, executor=threads)
