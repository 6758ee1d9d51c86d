"""Tracking to a real MLflow server that is down at times, and whose answers get lost."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from faulty_proxy import FaultyProxy
from networks import published
from progan.pipeline.tracking import tracker
from progan.pipeline.tracking.mlflow.store import Store
from progan.pipeline.tracking.tracker import Tracker
from tracked import TrackedRun, mlflow_runs, steps
from waiting import wait_for
from workers import BIN

# MLflow emits FutureWarnings and DeprecationWarnings.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The server's port. Artifacts are uploaded through it."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    argv = [str(BIN / "mlflow"), "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
            "--artifacts-destination", str(folder / "artifacts"), "--port", str(port),
            "--workers", "1"]  # fmt: skip
    log = (folder / "log").open("w")
    env = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with subprocess.Popen(argv, stdout=log, stderr=log, env=env) as process:
        for _ in range(1200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
                    break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield port
        process.terminate()


@pytest.fixture
def proxy(server: int) -> Iterator[FaultyProxy]:
    """The proxy between the run and the server."""
    faulty_proxy = FaultyProxy(server)
    yield faulty_proxy
    faulty_proxy.close()


@pytest.fixture
def run(tmp_path: Path, proxy: FaultyProxy) -> TrackedRun:
    """A run that is tracked through the proxy."""
    return TrackedRun(tmp_path / tmp_path.name, f"tracking.mlflow={proxy.uri}")


def stage_run(run: TrackedRun, server: int, resolution: int) -> Any:
    return mlflow_runs(f"http://127.0.0.1:{server}")[f"{run.folder.name}-{resolution:04d}"]


def test_everything_arrives_once_from_a_server_that_is_down_at_times(
    run: TrackedRun, proxy: FaultyProxy, server: int, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(tracker, "SYNC_SECONDS", 0.2)
    sender, whole = run.sender(), threading.Event()
    send = sender.send

    def send_and_tell() -> None:
        send()
        whole.set()

    monkeypatch.setattr(sender, "send", send_and_tell)
    proxy.down = True
    following = Tracker(run.folder, [sender])
    following.start()
    run.train(4, ticks=3)
    wait_for(lambda: caplog.text.count(tracker.SENDING_FAILED) == 1)
    proxy.down = False  # down at the start
    assert whole.wait(120)
    assert steps(stage_run(run, server, 4)) == [100, 200, 300]
    proxy.down = True
    run.train(4, ticks=3)
    wait_for(lambda: caplog.text.count(tracker.SENDING_FAILED) == 2)
    proxy.down = False  # down in the middle
    run.finish(4)
    run.train(8, ticks=2)
    following.close("FINISHED")
    assert steps(stage_run(run, server, 4)) == list(range(100, 700, 100))
    assert steps(stage_run(run, server, 8)) == [100, 200]
    assert stage_run(run, server, 4)["grids"] == list(range(100, 700, 100))
    assert "MLflow cannot be told, training goes on" in caplog.text


def test_unsent_data_is_sent_by_the_next_resume(
    run: TrackedRun, proxy: FaultyProxy, server: int, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.down = True
    for patience in (0.0, 60.0):
        following = Tracker(run.folder, [run.sender()])
        following.start()
        run.train(4, ticks=2)
        following.close("KILLED", patience)
    assert caplog.text.count("the next `progan resume` sends it, or: progan track") == 2
    proxy.down = False
    run.sender().end("FINISHED")
    assert steps(stage_run(run, server, 4)) == [100, 200, 300, 400]


@pytest.mark.parametrize("path", ["runs/log-batch", "runs/create", "artifacts", "experiments"])
def test_lost_answers_cause_no_duplicates(
    run: TrackedRun, proxy: FaultyProxy, server: int, path: str
) -> None:
    sender = run.sender()
    for round_ in range(3):
        run.train(4, ticks=2)
        proxy.lose_answers_to = path
        for _ in range(2):
            try:
                sender.send()
            except Exception:
                sender.forget()
        proxy.lose_answers_to = None
        sender.send()
        assert steps(stage_run(run, server, 4)) == list(range(100, 200 * round_ + 300, 100))
    assert proxy.num_lost > 0
    assert stage_run(run, server, 4)["grids"] == list(range(100, 700, 100))


def test_lost_answer_and_resume_with_other_timings_cause_no_duplicates(
    run: TrackedRun, proxy: FaultyProxy, server: int
) -> None:
    from progan.stages.storage.metrics_log import rewind

    sender = run.sender()
    stage = run.train(4, ticks=1)
    sender.send()
    run.train(4, ticks=2)
    proxy.lose_answers_to = "runs/log-batch"
    with pytest.raises(Exception, match="failed with exception"):
        sender.send()
    proxy.lose_answers_to = None
    rewind(stage, 100)
    run.train(4, ticks=4)
    run.sender().send()
    assert steps(stage_run(run, server, 4)) == [100, 200, 300, 400, 500]


LOAD = """
import json, sys
import mlflow, numpy
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/" + sys.argv[2] + "/1")
latents = numpy.zeros((2, 16), "float32")
print(json.dumps({
    "arrays": model.predict(latents).shape,
    "files": [bytes(png[:4]).hex() for png in model.predict(latents, params={"output": "png"})],
    "inputs": model.metadata.signature.inputs.to_dict()[0]["tensor-spec"]["shape"],
    "example": model.metadata.saved_input_example_info is not None,
}))
"""


@pytest.mark.parametrize("where", ["file", "server"])
def test_finished_generator_is_loaded_by_its_registered_name(
    tmp_path: Path, proxy: FaultyProxy, where: str
) -> None:
    uri = proxy.uri if where == "server" else f"sqlite:///{tmp_path}/mlflow.db"
    chosen = ("tracking.register_as=auto", f"tracking.mlflow={uri}")
    run = TrackedRun(tmp_path / where, *chosen)
    published(run.train(8, ticks=1).final)
    proxy.lose_answers_to = "model-versions/create"
    for _ in range(2):
        try:
            run.sender().end("FINISHED")
        except Exception as error:
            assert "model-versions" in str(error) and where == "server"
    result = subprocess.run([sys.executable, "-c", LOAD, uri, f"progan-{where}"], text=True,
                            cwd=tmp_path, capture_output=True)  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == {
        "arrays": [2, 3, 8, 8],
        "files": ["89504e47", "89504e47"],
        "inputs": [-1, 16],
        "example": True,
    }
    proxy.lose_answers_to = None
    versions = Store(uri, None).client.search_model_versions(f"name = 'progan-{where}'")
    assert len(versions) == 1
    assert versions[0].run_id == mlflow_runs(uri)[f"{where}-0008"]["id"]


def test_example_in_the_documentation_draws_pictures(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "tracking.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    run = TrackedRun(tmp_path / "runs" / "photos", "tracking.register_as=auto")
    published(run.train(8, ticks=1).final)
    run.sender().end("FINISHED")
    argv = [sys.executable, "-c", f"{example}\nprint(images.dtype, *images.shape)"]
    result = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "float32 16 3 8 8"
    for file in (tmp_path / "photo-0.png", tmp_path / "photo-15.png"):
        assert Image.open(file).size == (8, 8)


def test_odd_name_and_damaged_state_do_not_end_tracking(tmp_path: Path, server: int) -> None:
    uri, name = f"http://127.0.0.1:{server}", '2026-11-26 12:35 "v2"'
    run = TrackedRun(tmp_path / name, "tracking.register_as=auto", f"tracking.mlflow={uri}")
    published(run.train(8, ticks=2).final)
    run.sender().send()
    run.folder.tracking.write_text("{")
    for _ in range(2):
        run.sender().end("FINISHED")
    assert steps(stage_run(run, server, 8)) == [100, 200]
    registered = "progan-2026-11-26 12-35 -v2-"
    result = subprocess.run([sys.executable, "-c", LOAD, uri, registered], capture_output=True,
                            text=True, cwd=tmp_path)  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert len(Store(uri, None).client.search_model_versions(f"name = '{registered}'")) == 1
