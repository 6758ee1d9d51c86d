"""Shared by all tests: a data set, a clean environment, the order of modules, limited skips."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from faulty_proxy import FaultyProxy
from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset
from progan.launch import devices

WAITING = ("test_slurm.py", "test_hosts.py")
"""Modules in tests/cluster whose tests mostly wait: others compute meanwhile."""


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: one worker a core, and one for each module that mostly waits."""
    return min(os.cpu_count() or 1, 8) + len(WAITING)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker of pytest-xdist, order modules so that no worker is left with a long one."""
    if not hasattr(config, "workerinput"):
        return
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))

    def turn(item: pytest.Item) -> tuple[bool, int, Path]:
        return not _waits(item.path), -slow[item.path], item.path

    items.sort(key=turn)


def _waits(module: Path) -> bool:
    return module.parent.name == "cluster" and module.name in WAITING


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped, allowed = _skips(terminalreporter)
    limit = "" if allowed is None else f", {allowed} allowed"
    terminalreporter.write_line(f"{skipped} skipped{limit} (PROGAN_SKIPS_ALLOWED)")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """More skips than the environment allows are a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:  # None in a worker of pytest-xdist
        skipped, allowed = _skips(reporter)
        if allowed is not None and skipped > allowed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skips(reporter: pytest.TerminalReporter) -> tuple[int, int | None]:
    """How many tests were skipped and how many may be."""
    allowed = os.environ.get("PROGAN_SKIPS_ALLOWED")
    return len(reporter.stats.get("skipped", ())), int(allowed) if allowed else None


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 drawn pictures prepared at 4, 8 and 16 pixels. Do not write to it."""
    folder = tmp_path_factory.mktemp("shapes")
    draw_dataset(folder / "pictures", num=96, size=16)
    prepare(folder / "pictures", folder / "dataset", 16, workers=1)
    return folder / "dataset"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[int]:
    """The port of an S3 server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def s3(s3_server: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy in front of the S3 server, which all S3 clients use; s3://store is empty."""
    import s3fs

    from progan.datasets.format.objects import store

    proxy = FaultyProxy(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.uri)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr(store, "PAUSES_SECONDS", ())
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem(
        skip_instance_cache=True, endpoint_url=f"http://127.0.0.1:{s3_server}"
    )
    files.mkdir("store")
    yield proxy
    files.invalidate_cache()
    files.rm("store", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
    proxy.close()


@pytest.fixture(autouse=True)
def same_machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Tests run on the CPU on every machine, unless they ask for a GPU; auto is fp32 on it."""
    monkeypatch.setattr(devices, "CPUINFO", Path("/no/cpuinfo"))
    if "gpu" not in request.keywords:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What progan remembers of former runs is neither read nor changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
