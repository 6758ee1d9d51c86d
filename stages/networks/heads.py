"""The discriminator's head by name: from features to logits, and its auxiliary losses.

Conditioning is what follows the latent in the generator's input (conditioning.py): the one-hot
class, or the codes; (N, 0) for an unconditional model. For reals it is the label's.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import Alpha, EqualizedLinear, at_least_float32
from progan.stages.networks.weights.weighted_layer import WeightedLayer
from progan.stages.networks.widths import Growing, decoder_model
from progan.stages.specs.model import AcganHead, AutoencoderHead, InfoganHead, ModelSpec


class Scalar(nn.Module):
    """One logit per image from a dense layer, without conditioning: the paper's."""

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__()
        self.dense = EqualizedLinear(features, 1, gain=1.0)

    def forward(
        self, features: Tensor, conditioning: Tensor, images: Tensor, alpha: Alpha
    ) -> Tensor:
        """(N, features) and conditioning of images (N, C, R, R) -> logits (N,); high for real."""
        logits: Tensor = self.dense(features)
        return logits.flatten()

    def auxiliary_losses(
        self, features: Tensor, conditioning: Tensor, *, fakes: bool
    ) -> dict[str, Tensor]:
        """Further losses that both networks minimise, on reals or on fakes: (N,) by name."""
        return {}


class Embedding(WeightedLayer):
    """One vector per class, equalised: its product with features is of the features' size."""

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, features))
        self.bias = None
        self.scale = 1 / math.sqrt(features)
        self.register_buffer("u", None)

    def forward(self, conditioning: Tensor) -> Tensor:
        """One-hot classes (N, classes) -> (N, features)."""
        embedded: Tensor = conditioning @ self.kernel()
        return embedded


class Projection(Scalar):
    """phi . V y + psi(phi) with features phi and class y (Miyato and Koyama 2018, eq. 3)."""

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__(features, model, growing)
        self.embedding = Embedding(model.classes, features)

    def forward(
        self, features: Tensor, conditioning: Tensor, images: Tensor, alpha: Alpha
    ) -> Tensor:
        """(N, features), (N, classes) -> logits (N,)."""
        embedded: Tensor = self.embedding(conditioning.to(features.dtype))
        logits = super().forward(features, conditioning, images, alpha)
        return logits + at_least_float32(embedded * features).sum(dim=1)


class AuxiliaryClassifier(Scalar):
    """ACGAN: a logit and a classifier, with the loss -log P(class) (Odena et al. 2017, L_C).

    Both networks minimise it, on reals and on fakes, as in the official code of PGGAN.
    """

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__(features, model, growing)
        spec = model.discriminator.head
        assert isinstance(spec, AcganHead)
        self.weight = spec.weight
        self.classifier = EqualizedLinear(features, model.classes, gain=1.0)

    def auxiliary_losses(
        self, features: Tensor, conditioning: Tensor, *, fakes: bool
    ) -> dict[str, Tensor]:
        """The weighted cross-entropy, (N,), on reals and on fakes."""
        logits = at_least_float32(self.classifier(features))
        return {"class_loss": self.weight * F.cross_entropy(logits, conditioning, reduction="none")}


class CodePredictor(Scalar):
    """InfoGAN: a logit and Q(c | x), a prediction of the codes that a fake was generated from.

    Both networks minimise -lambda log Q(c | G(z, c)): the lower bound on the mutual information of
    codes and images, without its constants (Chen et al. 2016, eqs. 5 and 6). Q shares all layers
    but the last with the discriminator. Continuous codes are Gaussian with variance 1, as in the
    authors' code, so that their term is half the squared error.
    """

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__(features, model, growing)
        spec, self.codes = model.discriminator.head, model.generator.codes
        assert isinstance(spec, InfoganHead)
        self.weight = spec.weight
        self.reader = EqualizedLinear(features, self.codes.width, gain=1.0)

    def auxiliary_losses(
        self, features: Tensor, conditioning: Tensor, *, fakes: bool
    ) -> dict[str, Tensor]:
        """The weighted -log Q(c | x) of fakes, (N,), without its constants."""
        if not fakes:
            return {}
        sizes = [*self.codes.categorical, self.codes.continuous]
        predicted = torch.split(at_least_float32(self.reader(features)), sizes, dim=1)
        codes = torch.split(conditioning.to(predicted[0].dtype), sizes, dim=1)
        loss = (predicted[-1] - codes[-1]).square().sum(dim=1) / 2
        for logits, code in zip(predicted[:-1], codes[:-1], strict=True):
            loss = loss + F.cross_entropy(logits, code, reduction="none")
        return {"code_loss": self.weight * loss}


class Autoencoder(nn.Module):
    """Logit -|x - Dec(Enc(x))|: the features are a code, and a generator is its decoder.

    The decoder grows and fades as the generator does. The energy, the negative logit, is the mean
    over an image's values of the absolute error (power 1, BEGAN: Berthelot et al. 2017, section
    3.1) or of the squared error (power 2, EBGAN: Zhao et al. 2017, section 2.3).
    """

    def __init__(self, features: int, model: ModelSpec, growing: Growing) -> None:
        super().__init__()
        spec = model.discriminator.head
        assert isinstance(spec, AutoencoderHead)
        self.power = spec.power
        resolution, fading, recompute_from = growing
        self.decoder = Generator(
            decoder_model(model, features),
            resolution,
            fading=fading,
            recompute_from=recompute_from,
        )

    def forward(
        self, features: Tensor, conditioning: Tensor, images: Tensor, alpha: Alpha
    ) -> Tensor:
        """(N, features) of images (N, C, R, R) -> logits (N,), minus their energies."""
        error = self.decoder(features, alpha) - at_least_float32(images)
        energy: Tensor = error.abs().pow(self.power).mean(dim=(1, 2, 3))
        return -energy

    def auxiliary_losses(
        self, features: Tensor, conditioning: Tensor, *, fakes: bool
    ) -> dict[str, Tensor]:
        """None."""
        return {}


class GeneratorNamer(EqualizedLinear):
    """MGAN's classifier: which of a mixture's generators drew a fake, -log P(index).

    Both networks minimise it times `generators_weight`, so that generators differ from each other.
    It shares all layers but the last with the discriminator. Source: Hoang et al. 2018 (ICLR,
    "MGAN"), eq. 2 and section 3.2.
    """

    def __init__(self, features: int, model: ModelSpec) -> None:
        super().__init__(features, model.generators, gain=1.0)
        self.factor = model.generators_weight

    def loss(self, features: Tensor, index: Tensor) -> Tensor:
        """The weighted cross-entropy of fakes: features (N, F), one-hot (N, generators) -> (N,)."""
        logits = at_least_float32(self(features))
        return self.factor * F.cross_entropy(logits, index.to(logits.dtype), reduction="none")


HEADS: dict[str, Callable[[int, ModelSpec, Growing], Scalar | Autoencoder]] = {
    "scalar": Scalar,
    "acgan": AuxiliaryClassifier,
    "projection": Projection,
    "infogan": CodePredictor,
    "autoencoder": Autoencoder,
}
