"""What is computed in half precision."""

import torch

from progan.stages.spec import EngineSpec


def autocast(engine: EngineSpec, device: str) -> torch.autocast:
    """Convolutions in half precision if the engine says so; weights are cast at every use.

    device: `cpu` or `cuda`.
    """
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(engine.precision)
    return torch.autocast(device, half, enabled=half is not None, cache_enabled=False)
