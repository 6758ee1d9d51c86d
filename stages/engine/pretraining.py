"""Training of an autoencoder whose encoder a discriminator will share (`progan pretrain`).

The autoencoder is a discriminator with an autoencoder head: its logit is the negative error. One
process without DeepSpeed, in float32.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from progan.datasets.reals import Reals
from progan.stages.errors import StageError
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.heads import Autoencoder
from progan.stages.specs.model import ModelSpec
from progan.stages.storage.tensors import parameters

BETAS = 0.9, 0.99
CHECKED_EVERY = 100
"""Steps between two checks that the error is finite, for which the host waits"""


def draw_autoencoder(model: ModelSpec, resolution: int, seed: int) -> Discriminator:
    """One with new weights; model: of widths.autoencoder_model."""
    torch.manual_seed(seed)
    return Discriminator(model, resolution)


def train_autoencoder(
    autoencoder: Discriminator, batches: Iterator[Reals], steps: int, lr: float
) -> Iterator[Tensor]:
    """Train by Adam on the mean squared error; yields each step's, () on the device.

    The learning rate falls from `lr` to 0 along half a cosine. Raises StageError if the error is
    not finite.
    """
    device = next(autoencoder.parameters()).device
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr, BETAS, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 + math.cos(math.pi * step / steps)) / 2
        error = -autoencoder(next(batches).to(device).images()).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        if (step % CHECKED_EVERY == 0 or step == steps - 1) and not error.isfinite():
            raise StageError(f"the reconstruction error is not finite after {step} steps; "
                             f"set a lower learning rate than {lr:g}")  # fmt: skip
        yield error.detach()


@torch.no_grad()
def reconstruct(autoencoder: Discriminator, images: Tensor) -> Tensor:
    """Images (N, C, R, R) and what the decoder makes of their codes, of the same shape."""
    assert isinstance(autoencoder.head, Autoencoder)
    features = autoencoder._features(images, alpha=1.0)
    reconstructed: Tensor = autoencoder.head.decoder(features)
    return reconstructed


def encoder_and_decoder(autoencoder: Discriminator) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of both parts, by the names that RepresentativeFeatures and Generator have."""
    decoder, prefix = autoencoder.head.decoder, "head."
    assert isinstance(decoder, torch.nn.Module)
    weights = parameters(autoencoder).items()
    return {k: v for k, v in weights if not k.startswith(prefix)}, parameters(decoder)
