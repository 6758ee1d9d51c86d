"""One rank that joins its process group on its GPU: prints `bound` if the group is bound to it."""

from datetime import timedelta

import torch
import torch.distributed as dist

from progan.stages.distributed.process_group import start_distributed
from progan.stages.distributed.rank_environment import own_environment
from progan.stages.distributed.world import detect
from progan.stages.worker import leave

own_environment()
world = detect()
start_distributed(world, timedelta(minutes=1))
group = dist.distributed_c10d._get_default_group()
assert group.bound_device_id == world.device == torch.device("cuda", world.rank)
store = dist.distributed_c10d._get_default_store()
store.set(f"rank {world.rank}", "bound")
store.wait([f"rank {rank}" for rank in range(world.size)])  # a barrier of NCCL's would not wait
print("bound", flush=True)
leave(0)
