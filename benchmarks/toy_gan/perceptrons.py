"""The toy's networks: perceptrons made of the project's layers and discriminator heads."""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from progan.stages.networks.conditioning import for_first_layer
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.heads import HEADS, Autoencoder, GeneratorNamer
from progan.stages.networks.layers import Alpha, EqualizedLinear, leaky_relu_, minibatch_stddev
from progan.stages.networks.minibatch import MinibatchDiscrimination
from progan.stages.networks.multi_discriminator import MultiDiscriminator
from progan.stages.networks.widths import KERNELS, Growing, decoder_model
from progan.stages.specs.model import AutoencoderHead, ModelSpec

WIDTH = 64


def as_pictures(points: Tensor) -> Tensor:
    """(N, 2) -> (N, 3, 1, 1)."""
    return F.pad(points, (0, 1))[..., None, None]


class Perceptron(nn.Module):
    """Two hidden layers and, if `outputs`, a linear one."""

    def __init__(self, inputs: int, outputs: int = 0) -> None:
        super().__init__()
        self.hidden = nn.ModuleList([EqualizedLinear(inputs, WIDTH), EqualizedLinear(WIDTH, WIDTH)])
        self.last = EqualizedLinear(WIDTH, outputs, gain=1.0) if outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs or WIDTH)."""
        for layer in self.hidden:
            x = leaky_relu_(layer(x))
        y: Tensor = self.last(x)
        return y


class ToyGenerator(nn.Module):
    """Latents -> points as one-pixel pictures."""

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        self.model = model
        self.points = Perceptron(model.first_inputs, 2)

    def forward(self, latents: Tensor, alpha: float = 1.0) -> Tensor:
        """(N, inputs) -> (N, 3, 1, 1)."""
        # The layer's scale is for all generators' columns, of which one's are used.
        factor = math.sqrt(self.model.generators)
        return as_pictures(self.points(factor * for_first_layer(latents, self.model)))


class ToyEncoder(nn.Module):
    """Points as one-pixel pictures -> latents."""

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        self.latents = Perceptron(2, model.latent)

    def forward(self, images: Tensor, alpha: float) -> Tensor:
        """(N, 3, 1, 1) -> (N, latent)."""
        latents: Tensor = self.latents(images[:, :2, 0, 0])
        return latents


class ToyAutoencoder(Autoencoder):
    """The energy of `Autoencoder`, with a perceptron as decoder."""

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        nn.Module.__init__(self)
        assert isinstance(model.discriminator.head, AutoencoderHead)
        self.power = model.discriminator.head.power
        self.decoder: Any = ToyGenerator(decoder_model(model, features))


class ToyDiscriminator(Discriminator):
    """A perceptron's features with minibatch layer and head of the real discriminator."""

    def __init__(self, model: ModelSpec) -> None:
        nn.Module.__init__(self)
        self.features = Perceptron(2)
        self.minibatch, self.group = model.discriminator.minibatch, model.stddev_group
        features = WIDTH + {"none": 0, "stddev": 1, "discrimination": KERNELS}[self.minibatch]
        learns = self.minibatch == "discrimination"
        self.compare = MinibatchDiscrimination(WIDTH, self.group) if learns else nn.Identity()
        head = (HEADS | {"autoencoder": ToyAutoencoder})[model.discriminator.head.kind]
        self.head = head(features, model, Growing(1, False, None))
        self.namer = GeneratorNamer(features, model) if model.indices else None

    def _features(self, images: Tensor, alpha: Alpha) -> Tensor:
        x: Tensor = self.compare(self.features(images[:, :2, 0, 0]))
        if self.minibatch == "stddev":
            x = minibatch_stddev(x[..., None, None], self.group)[..., 0, 0]
        return x


class ToyCritics(MultiDiscriminator):
    """Several toy discriminators."""

    def __init__(self, model: ModelSpec) -> None:
        nn.Module.__init__(self)
        number = model.discriminator.critics
        self.each = nn.ModuleList(ToyDiscriminator(model) for _ in range(number))
