"""MLflow tags of a run and its stages: user, versions, commit, hosts, devices. No torch."""

import getpass
import platform
import socket
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from progan.stages.storage.launch_log import read_starts
from progan.stages.storage.stage_folder import StageFolder


def run_tags(folder: Path) -> dict[str, str]:
    """User, host and versions; `folder` is the working directory, whose git commit is added."""
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
        pass  # a user of a container may have no name
    return tags


def stage_tags(folder: StageFolder) -> dict[str, str]:
    """Versions, hosts and devices of the ranks, from the stage's last start."""
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
