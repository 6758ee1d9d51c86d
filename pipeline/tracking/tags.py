"""What a run was made with, as tags that people look for in MLflow; no torch."""

import getpass
import platform
import socket
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from progan.stages.storage.launch_log import read_starts
from progan.stages.storage.stage_folder import StageFolder


def of_the_run(folder: Path) -> dict[str, str]:
    """Who started it and where; `folder` is the user's, whose git commit is told if it has one."""
    from mlflow.utils.git_utils import get_git_commit

    tags = {
        "mlflow.source.name": "progan",
        "mlflow.source.type": "LOCAL",
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "progan": version("progan"),
    }
    if commit := get_git_commit(str(folder)):
        tags["mlflow.source.git.commit"] = commit
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):
        pass  # a container's user may have no name
    return tags


def of_a_stage(folder: StageFolder) -> dict[str, str]:
    """What its ranks run on, as they wrote it down at their last start."""
    starts = read_starts(folder.starts)
    if not starts:
        return {}
    last = starts[-1]
    ranks: Counter[str] = Counter()
    for host in last.hosts:
        ranks[host.device] += host.ranks
    return last.versions | {
        "ranks": str(last.ranks),
        "hosts": ", ".join(host.name for host in last.hosts),
        "devices": ", ".join(f"{count} x {device}" for device, count in ranks.items()),
    }
