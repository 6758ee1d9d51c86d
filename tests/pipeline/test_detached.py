"""Which jobs a chain of stages is made of, with a queue that only remembers."""

from pathlib import Path

import pytest

from progan.launch.slurm import Slurm
from progan.launch.spec import LaunchSpec
from progan.launch.task import State, Task
from progan.pipeline.config import load_config
from progan.pipeline.detached import queue_of, submit_stages
from progan.pipeline.plan import stage_specs
from progan.pipeline.rundir import RunFolder


class Queue(Slurm):
    """Slurm without Slurm."""

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


def submit(run: RunFolder, queue: Queue) -> dict[int, str]:
    specs = stage_specs(load_config("demo", ("growth.last=16",)), run, "")
    return submit_stages(run, specs, queue)


def test_each_stage_waits_for_the_one_before(run: RunFolder) -> None:
    queue = Queue()
    assert submit(run, queue) == {4: "1", 8: "2", 16: "3"}
    assert queue.jobs == [("faces-0004", None), ("faces-0008", "1"), ("faces-0016", "2")]
    assert run.stage(16).spec.exists()


def test_a_second_chain_is_not_started_beside_the_first(run: RunFolder) -> None:
    queue = Queue()
    assert submit(run, queue) == submit(run, queue)
    assert len(queue.jobs) == 3


def test_what_waits_for_a_lost_job_is_submitted_again(run: RunFolder) -> None:
    queue = Queue()
    submit(run, queue)
    queue.ended.add("2")
    assert submit(run, queue) == {4: "1", 8: "4", 16: "5"}
    assert queue.jobs[3:] == [("faces-0008", "1"), ("faces-0016", "4")]
    assert queue.ended == {"2", "3"}


def test_a_chain_is_taken_for_what_it_is() -> None:
    queue = Queue()
    assert queue_of(queue) is queue
