"""The generator's exponential moving average."""

import torch

from progan.stages.networks.generator import Generator


@torch.no_grad()
def update(average: Generator, generator: Generator, decay: float) -> None:
    """average = decay * average + (1 - decay) * generator, parameter by parameter."""
    torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1.0 - decay)
