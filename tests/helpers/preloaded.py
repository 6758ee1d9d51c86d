"""What a worker imports until its first step: forked_ranks.py forks ranks from a process with it.

Nothing here may start a thread, a process group or CUDA: none of them survives a fork.
"""

from contextlib import suppress
from importlib import import_module

from progan.stages.training.lazy_imports import leave_out_mlflow, leave_out_muon_kernels

leave_out_mlflow()
leave_out_muon_kernels()
import_module("progan.stages.worker")
import_module("progan.stages.training.job")
for name in (
    "deepspeed.module_inject.auto_ep_layer",
    "deepspeed.ops.op_builder.all_ops",
    "deepspeed.runtime.zero.muon.muon_optimizer",
    "numpy.ma",
):
    with suppress(ImportError):  # DeepSpeed imports it in `initialize`, or only in some versions
        import_module(name)
