"""A network from images back to latents, for penalties that need one (mode_regularizer)."""

from typing import Any

import torch
from torch import Tensor, nn

from progan.stages.networks.dcgan import init_dcgan_weights
from progan.stages.networks.discriminator import Features
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import Alpha, EqualizedLinear, at_least_float32
from progan.stages.networks.widths import encoder_model
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.penalties import Penalties, has_encoder


class Encoder(Features):
    """Images at one resolution -> latents.

    Made of the discriminator's blocks, it grows and fades like the discriminator, without minibatch
    statistics and norms. It is trained with the generator and handed on from stage to stage, but
    not exported.
    """

    def __init__(self, model: ModelSpec, resolution: int, **options: Any) -> None:
        super().__init__(encoder_model(model), resolution, **options)
        self.head = EqualizedLinear(self.width, model.latent, gain=1.0)
        if not model.equalized:
            init_dcgan_weights(self)

    def forward(self, images: Tensor, alpha: Alpha = 1.0) -> Tensor:
        """Latents of a batch of images, faded like the discriminator's: (N, latent), float32.

        Without the conditioning's columns (conditioning.py). The generator normalises them.
        """
        return at_least_float32(self.head(self._features(images, alpha)))


def make_encoder(
    penalties: Penalties, model: ModelSpec, resolution: int, **options: Any
) -> Encoder | None:
    """An encoder, if a penalty needs one."""
    return Encoder(model, resolution, **options) if has_encoder(penalties) else None


def reconstruct(
    generator: Generator, encoder: Encoder, reals: Tensor, conditioning: Tensor, alpha: Alpha
) -> Tensor:
    """G(E(x), c): the generator's reconstruction of images x of classes c, of the same shape.

    conditioning: (N, inputs - latent), the classes.
    """
    latents = torch.cat([encoder(reals, alpha), conditioning], dim=1)
    images: Tensor = generator(latents, alpha)
    return images


def generator_module(generator: Generator, encoder: Encoder | None) -> nn.Module:
    """The module of the generator's optimiser: the generator, with the encoder if there is one."""
    if encoder is None:
        return generator
    return nn.ModuleDict({"generator": generator, "encoder": encoder})
