"""The discriminator's last layer by name: from features to logits, and what else it tells.

Conditions are what the generator was, or would be, told of a picture besides its latent (see
conditions.py): its class, one-hot, or its codes; (N, 0) where it is told nothing.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import Alpha, EqualizedLinear, at_least_float32
from progan.stages.networks.spectral import used_weight
from progan.stages.networks.widths import Growing, decoder_model
from progan.stages.specs.model import AcganHead, AutoencoderHead, InfoganHead, ModelSpec


class Autoencoder(nn.Module):
    """-|x - Dec(Enc(x))|: the discriminator's features are a code, and a generator decodes it.

    The decoder grows and fades as the generator does. The energy, a logit's negative, is the mean
    over a picture's values of the difference's absolute value (power 1, BEGAN: Berthelot et al.
    2017, section 3.1) or its square (power 2, EBGAN: Zhao et al. 2017, section 2.3).
    """

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__()
        chosen = model.discriminator.head
        assert isinstance(chosen, AutoencoderHead)
        self.power = chosen.power
        resolution, fading, recompute_from = growing
        self.decoder = Generator(
            decoder_model(model, features),
            resolution,
            fading=fading,
            recompute_from=recompute_from,
        )

    def forward(self, features: Tensor, conditions: Tensor, images: Tensor, alpha: Alpha) -> Tensor:
        """(N, features) of images (N, C, R, R) -> logits (N,), the negative of their energies."""
        difference = self.decoder(features, alpha) - at_least_float32(images)
        energy: Tensor = difference.abs().pow(self.power).mean(dim=(1, 2, 3))
        return -energy

    def auxiliary_losses(
        self, features: Tensor, conditions: Tensor, *, fakes: bool
    ) -> dict[str, Tensor]:
        """Nothing besides."""
        return {}


class Scalar(nn.Module):
    """One logit a picture, whatever was asked for: the paper's."""

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__()
        self.dense = EqualizedLinear(features, 1, gain=1.0)

    def forward(self, features: Tensor, conditions: Tensor, images: Tensor, alpha: Alpha) -> Tensor:
        """(N, features) and conditions of images (N, C, R, R) -> logits (N,); high for real."""
        logits: Tensor = self.dense(features)
        return logits.flatten()

    def auxiliary_losses(
        self, features: Tensor, conditions: Tensor, *, fakes: bool
    ) -> dict[str, Tensor]:
        """What else both networks are to minimise, of reals or of fakes: (N,) by name."""
        return {}


class Embedding(nn.Module):
    """A vector for every class, equalised so that its product with features is of their size."""

    u: Tensor | None

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, features))
        self.scale = 1 / math.sqrt(features)
        self.register_buffer("u", None)

    def forward(self, conditions: Tensor) -> Tensor:
        """One-hot classes (N, classes) -> (N, features)."""
        told: Tensor = conditions @ used_weight(self)
        return told


class Projection(Scalar):
    """phi . V y + psi(phi) with features phi and class y (Miyato and Koyama 2018, eq. 3)."""

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__(features, model, growing)
        self.embedding = Embedding(model.classes, features)

    def forward(self, features: Tensor, conditions: Tensor, images: Tensor, alpha: Alpha) -> Tensor:
        """(N, features), (N, classes) -> logits (N,)."""
        wanted: Tensor = self.embedding(conditions.to(features.dtype))
        return super().forward(features, conditions, images, alpha) + (wanted * features).sum(dim=1)


class AuxiliaryClassifier(Scalar):
    """Beside the logit, a classifier: -log P(class) (Odena et al. 2017, section 3, L_C).

    Both networks minimise it, on reals and on fakes, as in the official code of PGGAN.
    """

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__(features, model, growing)
        chosen = model.discriminator.head
        assert isinstance(chosen, AcganHead)
        self.weight = chosen.weight
        self.classifier = EqualizedLinear(features, model.classes, gain=1.0)

    def auxiliary_losses(
        self, features: Tensor, conditions: Tensor, *, fakes: bool
    ) -> dict[str, Tensor]:
        """The weighted cross-entropy, (N,), of reals and fakes."""
        guesses = at_least_float32(self.classifier(features))
        return {"class_loss": self.weight * F.cross_entropy(guesses, conditions, reduction="none")}


class CodeReader(Scalar):
    """Beside the logit, Q(c | x): a guess at the codes that a fake was drawn from.

    Both networks minimise -lambda log Q(c | G(z, c)), which is the bound of the mutual information
    between codes and pictures without its constants (Chen et al. 2016, eqs. 5 and 6). Q shares all
    layers but the last with the discriminator. Continuous codes are Gaussian with variance 1, as in
    the authors' code, so that a code read well is worth no more than its squared error.
    """

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__(features, model, growing)
        chosen, self.codes = model.discriminator.head, model.generator.codes
        assert isinstance(chosen, InfoganHead)
        self.weight = chosen.weight
        self.reader = EqualizedLinear(features, self.codes.width, gain=1.0)

    def auxiliary_losses(
        self, features: Tensor, conditions: Tensor, *, fakes: bool
    ) -> dict[str, Tensor]:
        """The weighted -log Q(c | x) of fakes, (N,), without its constants."""
        if not fakes:
            return {}
        sizes = [*self.codes.categorical, self.codes.continuous]
        guesses = torch.split(at_least_float32(self.reader(features)), sizes, dim=1)
        told = torch.split(conditions.to(guesses[0].dtype), sizes, dim=1)
        cost = (guesses[-1] - told[-1]).square().sum(dim=1) / 2
        for guess, code in zip(guesses[:-1], told[:-1], strict=True):
            cost = cost + F.cross_entropy(guess, code, reduction="none")
        return {"code_loss": self.weight * cost}


HEADS: dict[str, Callable[[int, ModelSpec, Growing], Scalar | Autoencoder]] = {
    "scalar": Scalar,
    "acgan": AuxiliaryClassifier,
    "projection": Projection,
    "infogan": CodeReader,
    "autoencoder": Autoencoder,
}
