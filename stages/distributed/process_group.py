"""Joining the other ranks, and how long to wait for them."""

import logging
import os
from datetime import timedelta

import deepspeed
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore

from progan.stages.distributed.world import World

# After Watchdog has said who is missing, and never before.
GRACE = timedelta(minutes=1)


def start_distributed(world: World, timeout: timedelta) -> None:
    """Join the process group that the launcher's environment describes.

    Started by hand, without a launcher, this is a group of one. On the CPU, DeepSpeed would compile
    a shared-memory operation at first use; it is skipped, since that needs a C++ compiler and the
    best part of a minute.
    """
    backend = "nccl" if world.device.type == "cuda" else "gloo"
    if "RANK" in os.environ:
        dist.init_process_group(backend, timeout=timeout + GRACE)
    else:
        os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed asks for it
        store = HashStore()
        dist.init_process_group(backend, store=store, rank=0, world_size=1)
    if world.device.type == "cpu":
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.utils.logger.setLevel(logging.WARNING)
    deepspeed.init_distributed(dist_backend=backend, dist_init_required=False, verbose=False)


def limit_waiting(timeout: timedelta) -> None:
    """Give every process group the same time limit: those that DeepSpeed makes have their own."""
    # Public in newer versions of torch only, where the other name warns.
    set_timeout = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout
    for group in list(dist.distributed_c10d._world.pg_map):
        set_timeout(timeout + GRACE, group)
