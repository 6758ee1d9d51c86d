"""Ranks that Slurm starts: one job a stage, described by slurm.sbatch."""

import os
import re
import shlex
import subprocess
import time
from pathlib import Path

from progan.launch import environment
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.task import State, Task

SCRIPT = Path(__file__).parents[1] / "scripts" / "slurm.sbatch"
LOOK_SECONDS = 5.0
"""Between two questions to the controller, which the whole cluster shares"""
SETTLE_SECONDS = 30.0
"""How long a state may stand for a job's end before Slurm makes it wait to be started again"""
AWAY_SECONDS = 120.0
"""How long a controller may be away when a job is to be submitted"""
PATIENCE_SECONDS = 120.0
"""For the step in progress and a checkpoint, before a job is cancelled"""

ENDED = {"CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT"}
PERHAPS_ENDED = {"BOOT_FAIL", "NODE_FAIL", "PREEMPTED"}
WAITING = {
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
}  # fmt: skip
CONTROLLER_AWAY = re.compile("unable to contact slurm controller|connection refused", re.IGNORECASE)


def script(spec: LaunchSpec, task: Task, restarts: int = 0) -> str:
    """slurm.sbatch with the values of a task in its first two parts.

    `restarts` is for a job that nobody watches: how often it starts its ranks again after a crash.
    """
    head, how = SCRIPT.read_text().split("\n# --- How", 1)
    shebang = head.partition("\n")[0]
    lines = [*_requests(head, spec, task), *_commands(spec, task), f"restarts={restarts}"]
    return "\n".join([shebang, *lines, "", "# --- How"]) + how


def _requests(head: str, spec: LaunchSpec, task: Task) -> list[str]:
    """The #SBATCH lines: those of the script, ours, and at last the user's, which count most."""
    asked = dict(re.findall(r"^#SBATCH (--[a-z-]+)(?:=(.*))?$", head, re.MULTILINE))
    ours = {
        "--job-name": task.name,
        "--nodes": spec.nodes,
        "--ntasks-per-node": spec.gpus_per_node,
        "--gpus-per-node": spec.gpus_per_node,
        "--output": str(task.log).replace("%", "%%"),
        "--time": spec.time_limit,
        "--partition": spec.partition,
        "--account": spec.account,
    }
    asked |= {name: value and shlex.quote(str(value)) for name, value in ours.items()}
    lines = [f"{name}={value}" if value else name for name, value in asked.items()
             if value is not None]  # fmt: skip
    return [f"#SBATCH {line.removeprefix('#SBATCH ')}" for line in [*lines, *spec.sbatch]]


def _commands(spec: LaunchSpec, task: Task) -> list[str]:
    """The stage's folder, the command of every rank, its container and environment."""
    container, (program, *words) = [], task.argv
    if spec.image:
        program = Path(program).name  # wherever the image has it
        container.append(f"--container-image={spec.image}")
        if spec.mounts:
            container.append(f"--container-mounts={','.join(spec.mounts)}")
    found = environment.of_ranks(spec)
    values = {name: os.environ.get(name, value) for name, value in found.items()} | spec.env
    return [
        f"stage={shlex.quote(str(task.log.parent))}",
        f"command=({shlex.join([program, *words])})",
        f"container=({shlex.join(container)})",
        *(f"export {name}={shlex.quote(value)}" for name, value in values.items()),
    ]


def state(answer: "subprocess.CompletedProcess[str]") -> str | None:
    """A job's state in Slurm's words, from what squeue answered; None if it did not."""
    if answer.returncode == 0:
        # A job that is long ended may also be answered by nothing.
        return (answer.stdout.split() or ["COMPLETED"])[0]
    # The controller forgets a job some minutes after its end, and never before.
    return "COMPLETED" if "Invalid job id" in answer.stderr else None


class Slurm:
    """One sbatch job a task. A handle is its number, which it keeps when it is requeued."""

    def __init__(self, spec: LaunchSpec) -> None:
        assert spec.nodes != "auto" and spec.gpus_per_node != "auto", "LaunchSpec refuses it"
        self.world_size = spec.nodes * spec.gpus_per_node
        self._spec = spec
        self._known: dict[str, tuple[float, State]] = {}
        self._ended_since: dict[str, float] = {}

    def submit(self, task: Task) -> str:
        """See Backend."""
        return self._sbatch(task, script(self._spec, task))

    def submit_after(self, other: str | None, task: Task) -> str:
        """Submit a task that nobody will watch, to start when another job has ended well.

        If that one fails, it never does.
        """
        waits = [f"--dependency=afterok:{other}", "--kill-on-invalid-dep=yes"] if other else []
        return self._sbatch(task, script(self._spec, task, self._spec.max_restarts), *waits)

    def _sbatch(self, task: Task, text: str, *waits: str) -> str:
        file = task.log.with_name("slurm.sbatch")
        file.write_text(text)
        until = time.monotonic() + AWAY_SECONDS
        while True:
            answer = _ask("sbatch", "--parsable", *waits, str(file))
            if answer.returncode == 0:
                return answer.stdout.strip().partition(";")[0]
            if not CONTROLLER_AWAY.search(answer.stderr) or time.monotonic() > until:
                raise LaunchError(f"Slurm refused {file}: {_said(answer)}")
            time.sleep(LOOK_SECONDS)

    def poll(self, handle: str) -> State:
        """See Backend. A controller that does not answer leaves a job where it was."""
        looked, known = self._known.get(handle, (0.0, "running"))
        if known != "ended" and time.monotonic() - looked > LOOK_SECONDS:
            known = self._look(handle, known)
            self._known[handle] = time.monotonic(), known
        return known

    def cancel(self, handle: str) -> None:
        """See Backend. The script passes USR2 on to the ranks; scancel alone gives them KillWait,
        30 seconds on most clusters."""
        if self._look(handle, "running") == "running":
            _ask("scancel", "--batch", "--signal=USR2", handle)
            self._wait(handle, PATIENCE_SECONDS, while_it_is=("running",))
        if self._look(handle, "running") != "ended":
            _ask("scancel", handle)
            self._wait(handle, PATIENCE_SECONDS, while_it_is=("running", "waiting"))

    def _wait(self, handle: str, seconds: float, while_it_is: tuple[State, ...]) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._look(handle, "running") in while_it_is:
            time.sleep(1.0)

    def _look(self, handle: str, known: State) -> State:
        """Ask the controller."""
        answer = _ask("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={handle}")
        word = state(answer)
        if word in PERHAPS_ENDED:
            since = self._ended_since.setdefault(handle, time.monotonic())
            return "ended" if time.monotonic() - since > SETTLE_SECONDS else "waiting"
        self._ended_since.pop(handle, None)
        if word is None:
            return known
        return "ended" if word in ENDED else "waiting" if word in WAITING else "running"


def _ask(*argv: str) -> "subprocess.CompletedProcess[str]":
    """Run one of Slurm's commands."""
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LaunchError(
            f"{argv[0]} is not here: run progan where jobs are submitted, on a login node"
        ) from error


def _said(answer: "subprocess.CompletedProcess[str]") -> str:
    """The scheduler's own words."""
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ") for line in
             answer.stderr.splitlines()]  # fmt: skip
    return "; ".join(line for line in lines if line) or f"exit code {answer.returncode}"
