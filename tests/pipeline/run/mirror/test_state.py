"""`progan status` says how far the copy at checkpoint.mirror is."""

import json
import subprocess
import time

import pytest

from faulty_proxy import FaultyProxy
from mirrored import MIRROR, add_checkpoint, copier, fetched
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.mirror.contents import store_of
from progan.pipeline.run.mirror.state import mirror_line, mirror_state
from progan.pipeline.run.status import status_and_mirror, status_table
from progan.pipeline.run.terminal import Terminal
from progan.pipeline.run_folder import RunFolder
from workers import BIN

URL = f"{MIRROR}/faces"
BEGIN = f"mirror {URL}: "


def line(run: RunFolder, timeout_seconds: float = 60) -> str:
    document = mirror_state(run, timeout_seconds)
    assert document is not None and document["url"] == URL
    return mirror_line(document).removeprefix(BEGIN)


def test_copy_without_differences_is_up_to_date(s3: FaultyProxy, run: RunFolder) -> None:
    copier(run).copy()
    assert line(run) == "up to date"


def test_what_was_not_copied_is_counted(s3: FaultyProxy, run: RunFolder) -> None:
    mirror = copier(run)
    mirror.copy()
    run.stage(8).fakes(300).write_bytes(b"grid")
    assert line(run) == "1 file behind, newest checkpoint there: 8x8 at 0.2 kimg"
    add_checkpoint(run.stage(8), 300)  # two files, and a line of metrics.jsonl
    assert line(run) == "4 files behind, newest checkpoint there: 8x8 at 0.2 kimg"


def test_checkpoint_that_is_not_whole_is_not_the_newest(s3: FaultyProxy, run: RunFolder) -> None:
    copier(run).copy()
    add_checkpoint(run.stage(8), 300)
    store_of(MIRROR, run).write("stages/0008/checkpoints/000000300/ema.safetensors", b"x")
    assert line(run).endswith("behind, newest checkpoint there: 8x8 at 0.2 kimg")


def test_folder_that_fetched_the_run_is_up_to_date(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    copier(run).copy()
    fetched(elsewhere)
    assert line(elsewhere) == "up to date"


def test_nothing_there_yet(s3: FaultyProxy, run: RunFolder) -> None:
    assert line(run).endswith("files behind, no checkpoint there")


def test_run_that_goes_on_elsewhere_is_named(
    s3: FaultyProxy, run: RunFolder, elsewhere: RunFolder
) -> None:
    copier(run).copy()
    fetched(elsewhere)
    EventLog(elsewhere.events).append("stopped", resolution=8)
    copier(elsewhere).copy()
    assert line(run).startswith("another machine has continued the run, newest checkpoint there")
    EventLog(run.events).append("stage_finished", resolution=8)
    assert line(run).startswith("holds another run")


def test_refusal_says_what_to_do(s3: FaultyProxy, run: RunFolder) -> None:
    s3.refuse_with = (403, b"")
    assert "renew expired ones" in line(run)


def test_storage_that_does_not_answer_is_given_up(s3: FaultyProxy, run: RunFolder) -> None:
    s3.delay_seconds = 30
    begin = time.monotonic()
    assert line(run, timeout_seconds=1) == "does not answer within 1 s"
    assert time.monotonic() - begin < 20


def test_table_ends_with_the_copy(s3: FaultyProxy, run: RunFolder) -> None:
    terminal = Terminal(width=80)
    with terminal.capture() as capture:
        terminal.print(status_table(status_and_mirror(run)))
    assert f"mirror {URL}: " in capture.get()


@pytest.mark.slow
def test_command_ends_in_time_without_an_answer(s3: FaultyProxy, run: RunFolder) -> None:
    s3.delay_seconds = 30
    argv = [str(BIN / "progan"), "status", str(run.path), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["mirror"]["state"] == "no_answer"
