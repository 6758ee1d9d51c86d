"""Forked ranks behave as torchrun's: exit codes, environment, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from forked_ranks import HELPERS, fork_ranks
from workers import results

PROGRAM = "a_rank.py"


def wait_for_text(output: Path, text: str, count: int) -> list[int]:
    """The process ids in `count` lines `text PID`."""
    for _ in range(600):
        lines = output.read_text().splitlines() if output.exists() else []
        if len(found := [int(x.split()[1]) for x in lines if x.startswith(text)]) == count:
            return found
        time.sleep(0.05)
    raise AssertionError(output.read_text())


def wait_until_ended(pids: list[int]) -> None:
    for _ in range(200):
        alive = [pid for pid in pids if psutil.pid_exists(pid)]
        if all(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in alive):
            return
        time.sleep(0.05)
    raise AssertionError(f"{alive} run on")


def test_ranks_see_what_torchrun_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGAN_TEST", "of the test")
    first, second = sorted(results(PROGRAM, "report", output=tmp_path / "log"))
    assert first == ["0", "0", "2", "1", "of the test", "report"]
    assert second == ["1", "1", "2", "1", "of the test", "report"]


def test_a_failing_rank_ends_the_others(tmp_path: Path) -> None:
    output = tmp_path / "log"
    launch = fork_ranks(PROGRAM, "fail", ranks=2, output=output)
    assert launch.wait(60) == 1
    wait_until_ended(wait_for_text(output, "pid", 2))
    assert "RuntimeError: failed as asked" in output.read_text()


def test_launcher_passes_sigterm_on_to_its_ranks(tmp_path: Path) -> None:
    output = tmp_path / "log"
    launch = fork_ranks(PROGRAM, "wait", ranks=2, output=output)
    wait_for_text(output, "pid", 2)
    with pytest.raises(subprocess.TimeoutExpired):
        launch.wait(0.1)
    launch.send_signal(signal.SIGTERM)
    assert launch.wait(60) == 1
    assert output.read_text().count("SIGTERM") == 2


def test_ranks_end_with_a_killed_launcher(tmp_path: Path) -> None:
    output = tmp_path / "log"
    launch = fork_ranks(PROGRAM, "wait", ranks=2, output=output)
    ranks = wait_for_text(output, "pid", 2)
    launch.send_signal(signal.SIGKILL)
    assert launch.wait(60) == -signal.SIGKILL
    wait_until_ended(ranks)


LAUNCH = """
from pathlib import Path
import sys, time
sys.path.insert(0, sys.argv[1])
from forked_ranks import fork_ranks
if __name__ == "__main__":
    fork_ranks("a_rank.py", "wait", ranks=2, output=Path(sys.argv[2]))
    time.sleep(600)
"""


@pytest.mark.slow
def test_ranks_end_with_the_process_that_runs_the_tests(tmp_path: Path) -> None:
    (tmp_path / "launch.py").write_text(LAUNCH)
    output = tmp_path / "log"
    argv = [sys.executable, str(tmp_path / "launch.py"), str(HELPERS), str(output)]
    process = subprocess.Popen(argv, env=os.environ, start_new_session=True)
    ranks = wait_for_text(output, "pid", 2)
    process.kill()
    process.wait()
    wait_until_ended(ranks)
