"""The slurm backend: one job for each task, run by slurm.sbatch."""

import os
import re
import shlex
import subprocess
import time
from pathlib import Path

from progan.launch import environment
from progan.launch.devices import VISIBLE
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.task import State, Task

SCRIPT = Path(__file__).parents[1] / "scripts" / "slurm.sbatch"
LOOK_SECONDS = 5.0
"""Interval of queries to the controller, which the whole cluster shares"""
SETTLE_SECONDS = 30.0
"""How long a job in a state of PERHAPS_ENDED may still be requeued"""
AWAY_SECONDS = 120.0
"""How long `submit` retries while the controller is unreachable"""
PATIENCE_SECONDS = 120.0
"""How long a job may finish its step and write a checkpoint before it is cancelled"""

CPUS_PER_GPU = 8
"""By default: what decodes pictures for a GPU"""
CPUS_REFUSED = re.compile("node configuration is not available|more processors", re.IGNORECASE)

ENDED = {"CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "REVOKED", "TIMEOUT"}
PERHAPS_ENDED = {"BOOT_FAIL", "NODE_FAIL", "PREEMPTED"}
WAITING = {
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
}  # fmt: skip
CONTROLLER_AWAY = re.compile("unable to contact slurm controller|connection refused", re.IGNORECASE)


def script(spec: LaunchSpec, task: Task, restarts: int = 0) -> str:
    """slurm.sbatch with the values of a task in its first two parts.

    `restarts`: how often a job without an orchestrator restarts its ranks after a crash.
    """
    head, how = SCRIPT.read_text().split("\n# --- How", 1)
    shebang = head.partition("\n")[0]
    lines = [*_requests(head, spec, task), *_commands(spec, task), f"restarts={restarts}"]
    return "\n".join([shebang, *lines, "", "# --- How"]) + how


def _requests(head: str, spec: LaunchSpec, task: Task) -> list[str]:
    """The #SBATCH lines: the script's with the task's values, then the user's, which override."""
    options = dict(re.findall(r"^#SBATCH (--[a-z-]+)(?:=(.*))?$", head, re.MULTILINE))
    values = {
        "--job-name": task.name,
        "--nodes": spec.nodes,
        "--ntasks-per-node": spec.gpus_per_node,
        "--gpus-per-node": spec.gpus_per_node,
        "--cpus-per-task": spec.cpus_per_rank or (CPUS_PER_GPU if asks_for_gpus(spec) else None),
        "--output": str(task.log).replace("%", "%%"),
        "--time": spec.time_limit,
        "--partition": spec.partition,
        "--account": spec.account,
    }
    options |= {name: value and shlex.quote(str(value)) for name, value in values.items()}
    lines = [f"{name}={value}" if value else name for name, value in options.items()
             if value is not None]  # fmt: skip
    return [f"#SBATCH {line.removeprefix('#SBATCH ')}" for line in [*lines, *spec.sbatch]]


def asks_for_gpus(spec: LaunchSpec) -> bool:
    """Whether the jobs have GPUs: a line of `launch.sbatch` may ask for none."""
    asked = re.findall(r"--gpus-per-node[= ]+(\S+)", "\n".join(spec.sbatch))
    return not asked or asked[-1] != "0"


def _commands(spec: LaunchSpec, task: Task) -> list[str]:
    """Lines that set the stage's folder, and the ranks' command, container and environment."""
    container, (program, *words) = [], task.argv
    if spec.image:
        program = Path(program).name  # found on the image's PATH
        container.append(f"--container-image={spec.image}")
        if spec.mounts:
            container.append(f"--container-mounts={','.join(spec.mounts)}")
    if VISIBLE in spec.env:  # srun sets it for every task, to the GPUs that the job got
        program, *words = "env", f"{VISIBLE}={spec.env[VISIBLE]}", program, *words
    defaults = environment.rank_variables(spec)
    variables = {name: os.environ.get(name, value) for name, value in defaults.items()} | spec.env
    # Exports first: a variable of the same name must not change what the script does.
    return [
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f"stage={shlex.quote(str(task.log.parent))}",
        f"command=({shlex.join([program, *words])})",
        f"container=({shlex.join(container)})",
    ]


def state(answer: "subprocess.CompletedProcess[str]") -> str | None:
    """A job's Slurm state from squeue's answer; None if the controller did not answer."""
    if answer.returncode == 0:
        # The answer for a job that ended long ago may be empty.
        return (answer.stdout.split() or ["COMPLETED"])[0]
    # The controller forgets a job some minutes after its end, never before.
    return "COMPLETED" if "Invalid job id" in answer.stderr else None


class Slurm:
    """One sbatch job for each task. The handle is its id, which it keeps when it is requeued."""

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
        """Submit a task without an orchestrator, to start when the job `other` has succeeded.

        If that fails, Slurm cancels this one.
        """
        dependency = [f"--dependency=afterok:{other}", "--kill-on-invalid-dep=yes"] if other else []
        return self._sbatch(task, script(self._spec, task, self._spec.max_restarts), *dependency)

    def _sbatch(self, task: Task, text: str, *dependency: str) -> str:
        file = task.log.with_name("slurm.sbatch")
        with open(file, "w", opener=_private) as script_file:
            script_file.write(text)
        deadline = time.monotonic() + AWAY_SECONDS
        while True:
            answer = _run("sbatch", "--parsable", *dependency, str(file))
            if answer.returncode == 0:
                return answer.stdout.strip().partition(";")[0]
            if not CONTROLLER_AWAY.search(answer.stderr) or time.monotonic() > deadline:
                raise LaunchError(f"Slurm refused {file}: {_error(answer)}{self._hint(answer)}")
            time.sleep(LOOK_SECONDS)

    def _hint(self, answer: "subprocess.CompletedProcess[str]") -> str:
        """What to change if Slurm has no node with so many CPUs."""
        if self._spec.cpus_per_rank or not CPUS_REFUSED.search(answer.stderr):
            return ""
        return f"; perhaps for {CPUS_PER_GPU} CPUs a GPU: set launch.cpus_per_rank to less"

    def poll(self, handle: str) -> State:
        """See Backend. While the controller does not answer, the last known state."""
        queried, known = self._known.get(handle, (0.0, "running"))
        if known != "ended" and time.monotonic() - queried > LOOK_SECONDS:
            known = self._query(handle, known)
            self._known[handle] = time.monotonic(), known
        return known

    def cancel(self, handle: str) -> None:
        """See Backend. On USR2 the script asks the ranks to stop, and gives them more time than
        scancel alone, which kills after KillWait, 30 seconds on most clusters."""
        if self._query(handle, "running") == "running":
            _run("scancel", "--batch", "--signal=USR2", handle)
            self._wait_while(("running",), handle)
        if self._query(handle, "running") != "ended":
            _run("scancel", handle)
            self._wait_while(("running", "waiting"), handle)

    def _wait_while(self, states: tuple[State, ...], handle: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self._query(handle, "running") in states:
            time.sleep(1.0)

    def _query(self, handle: str, known: State) -> State:
        """The job's state from the controller; `known` if that does not answer."""
        answer = _run("squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={handle}")
        slurm_state = state(answer)
        if slurm_state in PERHAPS_ENDED:
            since = self._ended_since.setdefault(handle, time.monotonic())
            return "ended" if time.monotonic() - since > SETTLE_SECONDS else "waiting"
        self._ended_since.pop(handle, None)
        if slurm_state is None:
            return known
        if slurm_state in ENDED:
            return "ended"
        return "waiting" if slurm_state in WAITING else "running"


def _private(path: str, flags: int) -> int:
    """Open a file that the user alone may read: a script holds the values of `launch.env`."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def _run(*argv: str) -> "subprocess.CompletedProcess[str]":
    """Run one of Slurm's commands."""
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LaunchError(
            f"{argv[0]} is not here: run progan where jobs are submitted, on a login node"
        ) from error


def _error(answer: "subprocess.CompletedProcess[str]") -> str:
    """The scheduler's error message."""
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ") for line in
             answer.stderr.splitlines()]  # fmt: skip
    return "; ".join(line for line in lines if line) or f"exit code {answer.returncode}"
