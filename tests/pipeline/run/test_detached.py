"""The jobs of a detached run, with a fake Slurm queue."""

import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest

from progan.launch.backends.slurm import Slurm
from progan.launch.spec import LaunchSpec
from progan.launch.task import State, Task
from progan.pipeline.config.schema import load_config
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run.detached import queue_of, submit_stages
from progan.pipeline.run.orchestrator import run_stages
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.final import DOCUMENT, Final
from progan.stages.storage.sealed_folder import sealing


class Queue(Slurm):
    """A fake Slurm that records the submitted jobs."""

    def __init__(self) -> None:
        super().__init__(LaunchSpec(backend="slurm", nodes=1, gpus_per_node=1))
        self.jobs: list[tuple[str, str | None]] = []
        self.ended: set[str] = set()

    def submit_after(self, other: str | None, task: Task) -> str:
        self.jobs.append((task.name, other))
        return str(len(self.jobs))

    def poll(self, handle: str) -> State:
        return "ended" if handle in self.ended else "waiting"

    def cancel(self, handle: str) -> None:
        self.ended.add(handle)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "faces")
    for resolution in (4, 8, 16):
        folder.stage(resolution).path.mkdir(parents=True)
    return folder


def specs(run: RunFolder) -> list[StageSpec]:
    return stage_specs(load_config("demo", ("growth.last=16",)), run, "")


def submit(run: RunFolder, queue: Queue) -> dict[int, str]:
    return submit_stages(run, specs(run), queue)


def test_each_job_depends_on_the_previous_one(run: RunFolder) -> None:
    queue = Queue()
    assert submit(run, queue) == {4: "1", 8: "2", 16: "3"}
    assert queue.jobs == [("faces-0004", None), ("faces-0008", "1"), ("faces-0016", "2")]
    assert run.stage(16).spec.exists()


def test_second_submission_keeps_the_jobs_of_the_first(run: RunFolder) -> None:
    queue = Queue()
    assert submit(run, queue) == submit(run, queue)
    assert len(queue.jobs) == 3


def test_jobs_that_depend_on_a_lost_job_are_submitted_again(run: RunFolder) -> None:
    queue = Queue()
    submit(run, queue)
    queue.ended.add("2")
    assert submit(run, queue) == {4: "1", 8: "4", 16: "5"}
    assert queue.jobs[3:] == [("faces-0008", "1"), ("faces-0016", "4")]
    assert queue.ended == {"2", "3"}


class SlowQueue(Queue):
    """The first stage finishes while the scheduler is polled."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run = run

    def poll(self, handle: str) -> State:
        if not (final := self.run.stage(4).final).exists():
            document = Final(
                resolution=4, images_seen=1, model=ModelSpec(), seed=0, data_fingerprint=""
            )
            with sealing(final, DOCUMENT, document.model_dump(mode="json")):
                pass
        return "ended" if handle == "1" else "waiting"


def test_stage_that_finishes_during_a_poll_is_done(run: RunFolder) -> None:
    queue = SlowQueue(run)
    submit(run, queue)
    assert submit(run, queue) == {8: "2", 16: "3"}
    shutil.rmtree(run.stage(4).final)
    run_stages(run, specs(run)[:1], queue, Mock(), max_restarts=0)
    assert len(queue.jobs) == 3


def test_queue_of_accepts_slurm() -> None:
    queue = Queue()
    assert queue_of(queue) is queue
