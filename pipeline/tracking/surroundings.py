"""What a run was made with, as tags that people look for in MLflow; no torch."""

import getpass
import json
import platform
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

from progan.stages.folder import StageFolder


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
    """What its ranks run on, as they wrote it down: versions, hosts, devices."""
    found: dict[str, Any] = json.loads(folder.environment.read_bytes())
    devices: dict[str, list[str]] = found.pop("devices")
    names = [name for of_host in devices.values() for name in of_host]
    counted = ", ".join(f"{names.count(name)} x {name}" for name in sorted(set(names)))
    return {key: str(value) for key, value in found.items() if value is not None} | {
        "hosts": ", ".join(devices),
        "devices": counted,
    }
