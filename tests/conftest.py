"""What tests of several folders share: a small data set, a clean environment, groups, skips."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path

import pytest

from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset

WAITING = ("slurm", "hosts")
"""Groups of tests that mostly wait: they start first, and others compute meanwhile."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """`-n auto`: one worker a core, and one for each group that mostly waits."""
    return min(os.cpu_count() or 1, 8) + len(WAITING)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With pytest-xdist, a module is a group, so that one worker makes its fixtures, once."""
    if not hasattr(config, "workerinput"):
        return
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
        marker = item.get_closest_marker("xdist_group")
        assert marker is not None
        groups.setdefault(marker.args[0], []).append(item)

    def turn(group: str) -> tuple[bool, int]:
        """Those that wait, then those with the most slow tests: the last ones should be short."""
        slow = sum(item.get_closest_marker("slow") is not None for item in groups[group])
        return group not in WAITING, -slow

    items[:] = [item for group in sorted(groups, key=turn) for item in groups[group]]


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


@pytest.fixture(autouse=True)
def no_gpu_counted(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Tests run on the CPU on every machine, unless they ask for a GPU."""
    if "gpu" not in request.keywords:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What progan remembers of former runs is neither read nor changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
