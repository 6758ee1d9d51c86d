"""What a stage's ranks run on, for the record."""

import json
import logging
import os
import platform
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from progan.datasets.files import write_whole
from progan.stages.world import World

log = logging.getLogger(__name__)
PACKAGES = ("progan", "torch", "deepspeed", "numpy")


def write_environment(path: Path, world: World) -> None:
    """Write down versions, hosts and devices (environment.json). All ranks must call it."""
    found = environment(world)
    if world.is_first:
        try:
            write_whole(path, json.dumps(found, indent=2).encode())
        except OSError as error:
            log.warning("not written: %s; training goes on", error)


def environment(world: World) -> dict[str, Any]:
    """Versions on this host, and of every host its devices, one a rank. All ranks must call it."""
    cuda = world.device.type == "cuda"
    device = torch.cuda.get_device_name(world.device) if cuda else f"CPU, {os.cpu_count()} cores"
    devices: dict[str, list[str]] = {}
    for entry in world.gather(f"{socket.gethostname()}\n{device}"):
        host, _, name = str(entry).partition("\n")
        devices.setdefault(host, []).append(name)
    return {
        "ranks": world.size,
        "devices": devices,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cuda": torch.version.cuda if cuda else None,
    } | {package: version(package) for package in PACKAGES}
