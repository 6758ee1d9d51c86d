"""Joining the process group, and the time limit of its collectives."""

import logging
import os
from datetime import timedelta

import deepspeed
import torch.distributed as dist
from torch.distributed import HashStore  # type: ignore[attr-defined]

from progan.stages.distributed.private_api import (
    process_groups,
    set_timeout,
    skip_nvml,
    skip_shared_memory_op,
)
from progan.stages.distributed.reachable import require_names
from progan.stages.distributed.world import World

# torch's own timeout comes after the watchdog's, whose message names the missing ranks.
GRACE = timedelta(minutes=1)


def start_distributed(world: World, timeout: timedelta) -> None:
    """Join the process group that the launcher's environment describes.

    Without a launcher it is a group of one. On the CPU, DeepSpeed's shared-memory collectives are
    left out: compiling them takes a C++ compiler and most of a minute. StageError if the machines
    do not find each other.
    """
    on_gpu = world.device.type == "cuda"
    backend, device = ("nccl", world.device) if on_gpu else ("gloo", None)
    if "RANK" in os.environ:
        require_names(uses_gloo=not on_gpu)
        dist.init_process_group(backend, timeout=timeout + GRACE, device_id=device)
    else:
        os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed needs it
        dist.init_process_group(backend, store=HashStore(), rank=0, world_size=1, device_id=device)
    if on_gpu:
        skip_nvml()
    else:
        skip_shared_memory_op()
    deepspeed.utils.logger.setLevel(logging.WARNING)
    deepspeed.init_distributed(dist_backend=backend, dist_init_required=False, verbose=False)


def set_collective_timeout(timeout: timedelta) -> None:
    """Give every process group the same time limit; DeepSpeed's groups come with their own."""
    for group in process_groups():
        set_timeout(group, timeout + GRACE)
