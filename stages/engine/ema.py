"""The generator's exponential moving average."""

import torch

from progan.stages.networks.generator import Generator


@torch.no_grad()
def update(average: Generator, generator: Generator, decay: float) -> None:
    """average = decay * average + (1 - decay) * generator, parameter by parameter.

    Buffers, such as the vectors of spectral normalisation, are copied.
    """
    torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1.0 - decay)
    for own, new in zip(average.buffers(), generator.buffers(), strict=True):
        own.copy_(new)
