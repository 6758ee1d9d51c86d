"""The messages to the user, and the user's hook, when a run ends or starts again."""

import logging
import os
import shlex
import subprocess
from typing import Literal, Protocol

from progan.pipeline.run.status import status
from progan.pipeline.run_folder import RunFolder

log = logging.getLogger(__name__)
HOOK_SECONDS = 60.0
Outcome = Literal["finished", "stopped", "failed", "restarted"]


class Page(Protocol):
    """Where a tracker shows the run."""

    @property
    def url(self) -> str:
        """Of the run itself."""
        ...

    @property
    def command(self) -> str | None:
        """What must run for the page to be there."""
        ...


def last_lines(run: RunFolder, outcome: Outcome, page: Page | None = None) -> list[str]:
    """Where run, report, tracker's page and newest pictures are, and the next command."""
    stages = status(run)["stages"]
    done = sum(stage["state"] == "done" for stage in stages)
    samples = [run.stage(stage["resolution"]).samples for stage in stages]
    grids = [grid for folder in samples for grid in sorted(folder.glob("fakes_*.png"))]
    path = shlex.quote(str(run.path))
    commands = {
        "finished": f"progan export {path} MODEL",
        "stopped": f"progan resume {path}",
        "failed": f"progan status {path}",
    }
    lines = {
        "run": f"{run.path}: {outcome}, {done} of {len(stages)} stages done",
        "report": str(run.report) if run.report.exists() else "",
        "MLflow": _where(page) if page else "",
        "pictures": str(grids[-1]) if grids else "",
        "next": commands.get(outcome, ""),
    }
    return [f"{f'{name}:':10}{text}" for name, text in lines.items() if text]


def _where(page: Page) -> str:
    return f"{page.url} (start {page.command})" if page.command else page.url


def call_hook(command: str | None, run: RunFolder, outcome: Outcome, reason: str = "") -> None:
    """Run `hooks.on_end` in a shell; warn if it fails or takes too long."""
    if not command:
        return
    told = {
        "PROGAN_RUN": str(run.path.absolute()),
        "PROGAN_OUTCOME": outcome,
        "PROGAN_REASON": reason,
        "PROGAN_REPORT": str(run.report.absolute()),
    }
    try:
        code = subprocess.run(
            command, shell=True, env=os.environ | told, stdin=subprocess.DEVNULL,
            timeout=HOOK_SECONDS, check=False,
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        log.warning("hooks.on_end: not done after %d s, and ended", HOOK_SECONDS)
        return
    if code:
        log.warning("hooks.on_end: exit code %d, which changes nothing else", code)
