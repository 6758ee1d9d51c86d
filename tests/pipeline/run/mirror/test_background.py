"""A slow or failing storage costs training nothing but warnings."""

import threading
import time

import pytest

from faulty_proxy import FaultyProxy
from mirrored import KEEP_TWO, MIRROR, add_checkpoint
from progan.pipeline.run.events import EventLog
from progan.pipeline.run.mirror import background
from progan.pipeline.run.mirror.background import BackgroundMirror
from progan.pipeline.run.mirror.contents import store_of
from progan.pipeline.run_folder import RunFolder
from waiting import wait_for

NEWEST = "stages/0008/checkpoints/000000300/state.json"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(background, "LONGEST_PAUSE_SECONDS", 0.2)


def started(run: RunFolder) -> BackgroundMirror:
    mirror = BackgroundMirror(run, MIRROR, KEEP_TWO)
    mirror.start()
    return mirror


def test_last_checkpoint_is_there_when_the_run_ends(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = started(run)
    add_checkpoint(run.stage(8), 300)
    mirror.close(60)
    assert NEWEST in store_of(MIRROR, run).sizes()
    assert "not all was copied" not in caplog.text


def test_slow_storage_is_waited_for_within_bounds(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    s3.delay_seconds = 30
    begin = time.monotonic()
    mirror = started(run)
    mirror.close(1)
    assert time.monotonic() - begin < 20
    assert "not all was copied to s3://store/runs" in caplog.text


def test_failures_are_tried_again_and_said_once(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    s3.down = True
    mirror = started(run)
    wait_for(lambda: "training goes on" in caplog.text)
    add_checkpoint(run.stage(8), 300)
    s3.down = False
    mirror.close(60)
    warnings = [r.message for r in caplog.records if "training goes on" in r.message]
    assert all("check the network and the service" in warning for warning in warnings)
    assert len(warnings) == len(set(warnings))
    assert NEWEST in store_of(MIRROR, run).sizes()


def test_expired_credentials_are_a_warning_with_the_remedy(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    s3.refuse_with = (403, b"")
    mirror = started(run)
    wait_for(lambda: "renew expired ones" in caplog.text)
    mirror.close(1)


def test_run_that_another_machine_continues_is_left_alone(
    s3: FaultyProxy, quick: None, run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    started(run).close(60)
    store = store_of(MIRROR, run)
    there = store.read("events.jsonl")
    assert there is not None
    store.write("events.jsonl", there + b'{"time": 1, "event": "stopped"}\n')
    EventLog(run.events).append("stopped", resolution=8)
    started(run).close(60)
    assert "nothing more is copied there" in caplog.text
    assert (store.read("events.jsonl") or b"").endswith(b'"stopped"}\n')


def test_without_a_mirror_nothing_runs(run: RunFolder) -> None:
    before = set(threading.enumerate())
    mirror = BackgroundMirror(run, None, KEEP_TWO)
    mirror.start()
    assert set(threading.enumerate()) == before
    mirror.close()
