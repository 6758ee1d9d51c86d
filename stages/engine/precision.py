"""Mixed precision: autocast and the memory format that goes with it."""

import torch
from torch import nn

from progan.stages.specs.stage import EngineSpec


def autocast(engine: EngineSpec, device: str) -> torch.autocast:
    """Convolutions in half precision if the engine says so; weights are cast at every use.

    device: `cpu` or `cuda`.
    """
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(engine.precision)
    return torch.autocast(device, half, enabled=half is not None, cache_enabled=False)


def memory_format(engine: EngineSpec) -> torch.memory_format:
    """Channels last in half precision, the order of tensor cores and of AMX; else channels first.

    Kernels for the other order would transpose every map and back. In float32 channels last is
    slower on CPUs.
    """
    return torch.contiguous_format if engine.precision == "fp32" else torch.channels_last


def set_memory_format(network: nn.Module, engine: EngineSpec) -> None:
    """Have a network and those inside it (discriminators, a decoder) lay out their maps so."""
    for module in network.modules():
        if hasattr(module, "memory_format"):
            module.memory_format = memory_format(engine)  # type: ignore[assignment]
