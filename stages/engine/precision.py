"""What is computed in half precision, and how its tensors lie in memory."""

import torch

from progan.stages.specs.stage import EngineSpec


def autocast(engine: EngineSpec, device: str) -> torch.autocast:
    """Convolutions in half precision if the engine says so; weights are cast at every use.

    device: `cpu` or `cuda`.
    """
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(engine.precision)
    return torch.autocast(device, half, enabled=half is not None, cache_enabled=False)


def memory_format(engine: EngineSpec) -> torch.memory_format:
    """Channels last in half precision, the order of tensor cores and of AMX; else channels first.

    Kernels for the other order would turn every map around, and back. In float32 it is slower on
    CPUs.
    """
    return torch.contiguous_format if engine.precision == "fp32" else torch.channels_last
