"""The private names of torch and DeepSpeed that stages/distributed relies on still exist."""

from datetime import timedelta

import deepspeed
import pytest
import torch.distributed as dist

from progan.stages.distributed.private_api import (
    process_groups,
    set_timeout,
    skip_shared_memory_op,
)
from progan.stages.distributed.world import World


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (dist.distributed_c10d, "_world"),
        (dist.distributed_c10d._world, "pg_map"),
        (deepspeed.ops, "__compatible_ops__"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_private_name_exists(owner: object, name: str) -> None:
    assert hasattr(owner, name), f"{name} is gone: adapt stages/distributed/private_api.py"


def test_torch_can_set_the_timeout_of_a_group() -> None:
    private = getattr(dist.distributed_c10d, "_set_pg_timeout", None)
    assert getattr(dist, "set_timeout", private) is not None, (
        "torch has neither set_timeout nor _set_pg_timeout: adapt stages/distributed/private_api.py"
    )


def test_deepspeed_lists_the_shared_memory_op() -> None:
    assert "deepspeed_shm_comm" in deepspeed.ops.__compatible_ops__, (
        "deepspeed_shm_comm is gone: adapt stages/distributed/private_api.py"
    )
    skip_shared_memory_op()
    assert not deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"]


def test_every_process_group_takes_a_timeout(world: World) -> None:
    groups = process_groups()
    assert dist.group.WORLD in groups
    for group in groups:
        set_timeout(group, timedelta(minutes=2))
    world.barrier()
