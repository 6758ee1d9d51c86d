"""The private names of torch and DeepSpeed that stages/distributed relies on still exist."""

from datetime import timedelta
from types import SimpleNamespace

import deepspeed
import pytest
import torch.distributed as dist
from deepspeed.accelerator import cuda_accelerator

from progan.stages.distributed.private_api import (
    process_groups,
    set_timeout,
    skip_nvml,
    skip_shared_memory_op,
)
from progan.stages.distributed.world import World


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (dist.distributed_c10d, "_world"),
        (dist.distributed_c10d._world, "pg_map"),
        (deepspeed.ops, "__compatible_ops__"),
        (cuda_accelerator, "pynvml"),
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


def test_deepspeed_asks_torch_for_free_memory_of_a_gpu_with_a_uuid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa,GPU-bb")
    nvml = SimpleNamespace(nvmlDeviceGetHandleByIndex=int)
    monkeypatch.setattr(cuda_accelerator, "pynvml", nvml)
    accelerator = cuda_accelerator.CUDA_Accelerator()
    monkeypatch.setattr(accelerator, "total_memory", lambda device: 80)
    monkeypatch.setattr(accelerator, "memory_allocated", lambda device: 30)
    with pytest.raises(ValueError, match="GPU-aa"):  # else skip_nvml is not needed any more
        accelerator.available_memory(1)
    skip_nvml()
    assert accelerator.available_memory(1) == 50
