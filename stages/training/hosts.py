"""The machines and library versions that a stage's ranks run on."""

import os
import platform
import socket
import time
from importlib.metadata import PackageNotFoundError, version
from typing import cast

import torch

from progan.stages.distributed.world import World
from progan.stages.storage.launch_log import Host, Start, processor

PACKAGES = ("progan", "torch", "deepspeed", "numpy", "webdataset")


def this_start(world: World, images_seen: int) -> Start:
    """The hosts of all ranks and what they run, for the launch log. All ranks must call it."""
    name, num_bytes = _device(world.device)
    cpus = os.cpu_count() or 1
    own = Host(name=socket.gethostname(), ranks=1, device=name, device_bytes=num_bytes, cpus=cpus)
    by_rank = cast(list[Host], world.all_gather_object(own))
    hosts = tuple(h.model_copy(update={"ranks": by_rank.count(h)}) for h in dict.fromkeys(by_rank))
    return Start(
        time=time.time(),
        images_seen=images_seen,
        ranks=world.size,
        hosts=hosts,
        versions=versions(),
    )


def _device(device: torch.device) -> tuple[str, int | None]:
    """Name of the GPU or the processor, and the GPU's memory."""
    if device.type != "cuda":
        return processor(), None
    properties = torch.cuda.get_device_properties(device)
    return properties.name, properties.total_memory


def versions() -> dict[str, str]:
    """Of Python, CUDA and the libraries that a run's results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found
