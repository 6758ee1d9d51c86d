"""A network from pictures back to latents, for penalties that ask for one (mode_regularizer)."""

from typing import Any

import torch
from torch import Tensor, nn

from progan.stages.networks.dcgan import draw_plainly
from progan.stages.networks.discriminator import Features
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import Alpha, EqualizedLinear, at_least_float32
from progan.stages.networks.widths import encoder_model
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.penalties import Penalties, has_encoder


class Encoder(Features):
    """Images at one resolution -> latents.

    It grows and fades as the discriminator does, of whose blocks it is made, but it compares no
    samples with each other and normalises nothing. It is trained with the generator, handed on from
    stage to stage, and is part of nothing that is exported.
    """

    def __init__(self, model: ModelSpec, resolution: int, **options: Any) -> None:
        super().__init__(encoder_model(model), resolution, **options)
        self.head = EqualizedLinear(self.width, model.latent, gain=1.0)
        if not model.equalized:
            draw_plainly(self)

    def forward(self, images: Tensor, alpha: Alpha = 1.0) -> Tensor:
        """Latents of a batch of images, faded like the discriminator's: (N, latent), float32.

        Without what may follow them, classes (conditions.py). The generator normalises them.
        """
        return at_least_float32(self.head(self._features(images, alpha)))


def make_encoder(
    penalties: Penalties, model: ModelSpec, resolution: int, **options: Any
) -> Encoder | None:
    """An encoder, if a penalty needs one."""
    return Encoder(model, resolution, **options) if has_encoder(penalties) else None


def reconstruct(
    generator: Generator, encoder: Encoder, reals: Tensor, conditions: Tensor, alpha: Alpha
) -> Tensor:
    """G(E(x), c): what the generator draws for pictures, told their classes c. Like the pictures.

    conditions: (N, inputs - latent).
    """
    images: Tensor = generator(torch.cat([encoder(reals, alpha), conditions], dim=1), alpha)
    return images


def together(generator: Generator, encoder: Encoder | None) -> nn.Module:
    """What one optimiser trains: the generator, and an encoder if there is one."""
    if encoder is None:
        return generator
    return nn.ModuleDict({"generator": generator, "encoder": encoder})
