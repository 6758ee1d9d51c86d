"""What a generator is told besides its latent: further columns of the same tensor.

So whatever draws pictures, an export above all, takes one tensor of (N, latent + classes), as the
official code does inside its network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def conditioned(latents: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Latents (N, latent) and their labels (N,), one-hot beside them: (N, latent + classes).

    Source: Mirza and Osindero 2014 (arXiv 1411.1784), section 3.2. Without classes labels say
    nothing, and the latents are given back.
    """
    if classes == 0:
        return latents
    return torch.cat([latents, F.one_hot(labels, classes).to(latents.dtype)], dim=1)


def taking_turns(count: int, classes: int) -> Tensor:
    """Labels 0, 1, ..., classes - 1, 0, ... for pictures side by side: (count,)."""
    return torch.arange(count) % max(1, classes)
