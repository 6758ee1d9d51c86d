"""The discriminator of one stage, made of PGGAN's blocks, or of DCGAN's (dcgan.py)."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from progan.stages.networks.attention import SelfAttention
from progan.stages.networks.dcgan import discriminator_blocks, init_dcgan_weights
from progan.stages.networks.functions.pixel_norm import pixel_norm
from progan.stages.networks.heads import HEADS, GeneratorNamer
from progan.stages.networks.layers import (
    Alpha,
    EqualizedConv2d,
    EqualizedLinear,
    at_least_float32,
    blend,
    downscale,
    fades,
    leaky_relu_,
    minibatch_stddev,
    resize,
    run_block,
)
from progan.stages.networks.minibatch import MinibatchDiscrimination
from progan.stages.networks.norms import DISCRIMINATOR_NORMS
from progan.stages.networks.weights.weighted_layer import make_buffers
from progan.stages.networks.widths import (
    KERNELS,
    Growing,
    autoencoder_model,
    representative_features,
    resolutions,
    width,
)
from progan.stages.specs.model import FIRST_RESOLUTION, DiscriminatorSpec, ModelSpec


class DownBlock(nn.Module):
    """Halves the resolution: a 3x3 convolution, then a down-scaling 3x3 one.

    With `attends`, self-attention before them. The official code takes the 2x2 mean before the
    activation; pytorch_GAN_zoo and pro_gan_pytorch take it after (`activates_first`).
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        spec: DiscriminatorSpec,
        *,
        activates_first: bool = False,
        attends: bool = False,
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(channels) if attends else nn.Identity()
        self.activates_first = activates_first
        norm = DISCRIMINATOR_NORMS[spec.norm]
        self.conv0 = EqualizedConv2d(channels, channels)
        self.norm0 = norm(channels, spec)
        resample: Literal["down"] | None = None if activates_first else "down"
        self.conv1 = EqualizedConv2d(channels, out_channels, resample=resample)
        self.norm1 = norm(out_channels, spec)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out_channels, H/2, W/2)."""
        x = self.norm1(self.conv1(self.norm0(self.conv0(self.attention(x)))))
        return downscale(x) if self.activates_first else x


class LastBlock(nn.Module):
    """4x4 maps -> features: minibatch stddev, a 3x3 convolution, a dense layer.

    Minibatch discrimination, in place of the stddev, comes last.
    """

    def __init__(self, model: ModelSpec) -> None:
        super().__init__()
        channels = width(model, FIRST_RESOLUTION)
        dense_channels = width(model, FIRST_RESOLUTION // 2)
        minibatch, group = model.discriminator.minibatch, model.stddev_group
        discriminates = minibatch == "discrimination"
        self.stddev_group = group if minibatch == "stddev" else None
        self.conv = EqualizedConv2d(channels + (minibatch == "stddev"), channels)
        self.norm = DISCRIMINATOR_NORMS[model.discriminator.norm](channels, model.discriminator)
        self.dense0 = EqualizedLinear(channels * 16, dense_channels)
        self.compare = (
            MinibatchDiscrimination(dense_channels, group) if discriminates else nn.Identity()
        )
        self.features = dense_channels + (KERNELS if discriminates else 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, 4, 4) -> (N, features)."""
        if self.stddev_group:
            x = minibatch_stddev(x, self.stddev_group)
        x = self.norm(self.conv(x))
        features: Tensor = self.compare(leaky_relu_(self.dense0(x.flatten(1))))
        return features


class DiscriminatorOutput(NamedTuple):
    """A discriminator's output for N images."""

    logits: Tensor
    """(N,), high for real"""
    features: Tensor
    """(N, features), the input of the last layer"""
    auxiliary_losses: dict[str, Tensor]
    """Further losses that both networks minimise, (N,) by name: an auxiliary classifier's"""


def growing_blocks(model: ModelSpec, growing: Growing) -> tuple[nn.ModuleDict, nn.ModuleDict, int]:
    """PGGAN's fromRGB layers, its blocks by the size of their input maps, its number of features.

    Source: table 2 of the paper.
    """
    resolution, fading, _ = growing
    inputs = [resolution // 2, resolution] if fading else [resolution]
    from_rgb = nn.ModuleDict(
        {str(size): EqualizedConv2d(model.channels, width(model, size), 1) for size in inputs}
    )
    sizes = list(resolutions(resolution, 2 * FIRST_RESOLUTION))
    blocks = nn.ModuleDict(
        {
            str(size): DownBlock(
                width(model, size),
                width(model, size // 2),
                model.discriminator,
                activates_first=model.variant != "paper",
                attends=size in model.discriminator.attention,
            )
            for size in reversed(sizes)
        }
    )
    last = LastBlock(model)
    blocks["4"] = last
    return from_rgb, blocks, last.features


BLOCKS: dict[str, Callable[[ModelSpec, Growing], tuple[nn.ModuleDict, nn.ModuleDict, int]]] = {
    "progressive": growing_blocks,
    "dcgan": discriminator_blocks,
}
"""By `model.arch`: the fromRGB layers, the blocks, by the size of their input maps, and how many
features they give"""


class Features(nn.Module):
    """Images at one resolution -> features: all of a discriminator but its last layer.

    Only the blocks from `resolution` down exist. With `fading` there is also the previous
    resolution's fromRGB layer, which `alpha` < 1 needs. Blocks at `recompute_from` and above are
    recomputed in the backward pass.
    """

    def __init__(
        self,
        model: ModelSpec,
        resolution: int,
        *,
        fading: bool = False,
        recompute_from: int | None = None,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.recompute_from = recompute_from or math.inf
        self.memory_format = torch.contiguous_format
        """Of feature maps; results differ by rounding only"""
        growing = Growing(resolution, fading, recompute_from)
        self.from_rgb, self.blocks, self.width = BLOCKS[model.arch](model, growing)

    def _features(self, images: Tensor, alpha: Alpha) -> Tensor:
        """(N, channels, resolution, resolution) -> (N, width)."""
        images = images.contiguous(memory_format=self.memory_format)
        x = leaky_relu_(self.from_rgb[str(self.resolution)](images))
        for size, block in self.blocks.items():
            x = run_block(block, x, recompute=int(size) >= self.recompute_from)
            if int(size) == self.resolution and fades(alpha):
                previous = self.from_rgb[str(self.resolution // 2)](downscale(images))
                x = blend(leaky_relu_(previous), x, alpha)
        return x


class RepresentativeFeatures(Features):
    """Images of any resolution -> the code of a pretrained autoencoder's frozen encoder.

    The head receives its code and the discriminator's own features, which thus learn what the code
    lacks to tell reals from fakes: Bang and Shim 2018 (ICML, arXiv 1801.09195), section 3.2 and
    figure 1. Images are resized to the encoder's resolution, so that the same
    features are there at every resolution of a run. The code is normalised, as the autoencoder's
    decoder gets it. Weights are buffers: gradients flow to the images, not to them.
    """

    def __init__(self, model: ModelSpec, *, recompute_from: int | None = None) -> None:
        encoder = model.discriminator.representative
        assert encoder is not None
        shape = autoencoder_model(encoder, model.channels)
        super().__init__(shape, encoder.resolution, recompute_from=recompute_from)
        make_buffers(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, R, R) -> (N, width), of unit mean square."""
        code = self._features(resize(images, self.resolution), alpha=1.0)
        return pixel_norm(at_least_float32(code))


class Discriminator(Features):
    """Images at one resolution -> logits.

    With an encoder in its spec, the head sees the encoder's features too (`representative`).
    """

    def __init__(self, model: ModelSpec, resolution: int, **options: Any) -> None:
        super().__init__(model, resolution, **options)
        growing = Growing(resolution, **options)
        self.representative = (
            RepresentativeFeatures(model, recompute_from=growing.recompute_from)
            if model.discriminator.representative
            else None
        )
        self.width += representative_features(model)
        self.head = HEADS[model.discriminator.head.kind](self.width, model, growing)
        self.namer = GeneratorNamer(self.width, model) if model.indices else None
        if not model.equalized:
            init_dcgan_weights(self)

    def _features(self, images: Tensor, alpha: Alpha) -> Tensor:
        """The discriminator's own features, then the encoder's: (N, width)."""
        own = super()._features(images, alpha)
        if self.representative is None:
            return own
        return torch.cat([own, self.representative(images).to(own.dtype)], dim=1)

    def forward(
        self, images: Tensor, alpha: Alpha = 1.0, conditioning: Tensor | None = None
    ) -> Tensor:
        """Logits of a batch of images, (N,); high for real. See `forward_features`."""
        # Not `self.forward_features`, which may be compiled: penalties differentiate this twice.
        return Discriminator.forward_features(self, images, alpha, conditioning).logits

    def forward_features(
        self,
        images: Tensor,
        alpha: Alpha = 1.0,
        conditioning: Tensor | None = None,
        *,
        fakes: bool = False,
    ) -> DiscriminatorOutput:
        """Logits, features and auxiliary losses of a batch of images.

        images: (N, channels, resolution, resolution) in [-1, 1].
        alpha: 0 sees the image down-scaled through the previous fromRGB; 1 the new path alone.
        conditioning: (N, model.inputs - latent), classes and codes; None for a head without any.
        fakes: whether the images are generated: only these have codes to predict.
        """
        return self._apply_head(self._features(images, alpha), images, alpha, conditioning, fakes)

    def forward_both(
        self, reals: Tensor, fakes: Tensor, alpha: Alpha, conditioning: Tensor
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """The outputs for N reals and N fakes, in one pass through the blocks.

        Minibatch statistics are over groups of consecutive samples, and N is a multiple of the
        group, so reals and fakes do not mix; one pass reads, scales and reorders all weights once.
        """
        real, fake = self._features(torch.cat([reals, fakes]), alpha).chunk(2)
        return (
            self._apply_head(real, reals, alpha, conditioning, fakes=False),
            self._apply_head(fake, fakes, alpha, conditioning, fakes=True),
        )

    def _apply_head(
        self, x: Tensor, images: Tensor, alpha: Alpha, conditioning: Tensor | None, fakes: bool
    ) -> DiscriminatorOutput:
        if conditioning is None:
            conditioning = x.new_zeros(len(x), 0)
        conditioning, index = self._split_index(conditioning)
        logits = self.head(x, conditioning, images, alpha)
        auxiliary_losses = self.head.auxiliary_losses(x, conditioning, fakes=fakes)
        if self.namer is not None and fakes:
            auxiliary_losses |= {"generator_index_loss": self.namer.loss(x, index)}
        return DiscriminatorOutput(logits, x, auxiliary_losses)

    def _split_index(self, conditioning: Tensor) -> tuple[Tensor, Tensor]:
        """The part for the head, and the generator's one-hot index: (N, 0) without a mixture."""
        indices = 0 if self.namer is None else len(self.namer.bias)
        border = max(0, conditioning.shape[1] - indices)
        return conditioning[:, :border], conditioning[:, border:]
