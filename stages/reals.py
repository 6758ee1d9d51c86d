"""Real pictures, faded like the fakes."""

import torch
from torch import Tensor

from progan.stages.networks.layers import downscale, upscale


def fade(images: Tensor, alpha: float) -> Tensor:
    """Blend reals with their half-resolution version: lerp(up(down(images)), images, alpha).

    While a resolution fades in, the discriminator must not be able to tell the fakes by a sharpness
    that the generator cannot have yet (official code: `process_reals`). (N, C, H, W) in and out.
    """
    if alpha >= 1.0:
        return images
    return torch.lerp(upscale(downscale(images)), images, alpha)
