"""Private names of torch and DeepSpeed that setting up the ranks needs, each in one function.

tests/stages/distributed/test_private_api.py fails with the name that a new version no longer has.
"""

from datetime import timedelta

import deepspeed
import torch.distributed as dist


def process_groups() -> list[dist.ProcessGroup]:
    """All process groups of this process, also those that DeepSpeed made."""
    return list(dist.distributed_c10d._world.pg_map)


def set_timeout(group: dist.ProcessGroup, timeout: timedelta) -> None:
    """Set the time limit of a group's collectives; `dist.set_timeout`, if torch has it."""
    public = getattr(dist, "set_timeout", None)
    (public or dist.distributed_c10d._set_pg_timeout)(timeout, group)


def skip_shared_memory_op() -> None:
    """Keep DeepSpeed from compiling its shared-memory collectives for the CPU at first use."""
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def skip_nvml() -> None:
    """Have DeepSpeed ask torch, not NVML, for a GPU's free memory.

    It would look the GPU up by its place in CUDA_VISIBLE_DEVICES, where it expects numbers, not
    UUIDs or MIG slices.
    """
    deepspeed.accelerator.cuda_accelerator.pynvml = None
