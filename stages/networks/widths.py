"""Shapes of the networks: which resolutions and widths they have, and how many parameters.

Arithmetic without torch, for the networks and for the plan. Source: PGGAN, table 2, and
`networks.py` of its official code.
"""

from collections.abc import Iterator
from typing import NamedTuple

from progan.stages.specs.model import (
    FIRST_RESOLUTION,
    AutoencoderHead,
    DiscriminatorSpec,
    GeneratorSpec,
    ModelSpec,
    RepresentativeSpec,
)

KERNELS, KERNEL_SIZE = 32, 5
"""Of minibatch discrimination: kernels, and the features that each compares"""


class Growing(NamedTuple):
    """The part of a network that a stage builds."""

    resolution: int
    fading: bool = False
    """With the previous resolution's toRGB or fromRGB layer, for the fade"""
    recompute_from: int | None = None
    """Blocks at this resolution and above are recomputed in the backward pass"""


def resolutions(last: int, first: int = FIRST_RESOLUTION) -> Iterator[int]:
    """Every resolution from `first` to `last`, doubling: 4, 8, 16, ..."""
    while first <= last:
        yield first
        first *= 2


def width(model: ModelSpec, resolution: int) -> int:
    """Feature maps at a resolution: min(fmap_base / 2^s, fmap_max) with s = log2(resolution) - 1.

    The paper counts from s = 1 at 4x4; `resolution` 2 is s = 0, the width of the discriminator's
    dense layer.
    """
    return min(2 * model.fmap_base // resolution, model.fmap_max)


def finest(model: ModelSpec, resolution: int) -> int:
    """The highest resolution of a stage's feature maps; DCGAN has none at the image's."""
    return resolution // 2 if model.arch == "dcgan" else resolution


def decoder_model(model: ModelSpec, features: int) -> ModelSpec:
    """The generator that is the decoder of an autoencoder head: its latent is the features."""
    update = {"latent": features, "classes": 0, "generators": 1, "generator": GeneratorSpec()}
    return model.model_copy(update=update)


def encoder_model(model: ModelSpec) -> ModelSpec:
    """The discriminator whose blocks an encoder has: no minibatch statistics, no norms."""
    return model.model_copy(update={"discriminator": DiscriminatorSpec(minibatch="none")})


def autoencoder_model(encoder: RepresentativeSpec, channels: int) -> ModelSpec:
    """The discriminator that is an autoencoder with such an encoder, trained by squared error."""
    head = AutoencoderHead(kind="autoencoder", power=2)
    fields = {
        "fmap_base": encoder.fmap_base,
        "fmap_max": encoder.fmap_max,
        "channels": channels,
        "discriminator": DiscriminatorSpec(minibatch="none", head=head),
    }
    return ModelSpec.model_validate(fields)


def representative_features(model: ModelSpec) -> int:
    """Features of the frozen encoder that a discriminator shares; 0 if there is none."""
    encoder = model.discriminator.representative
    if encoder is None:
        return 0
    return width(autoencoder_model(encoder, model.channels), FIRST_RESOLUTION // 2)


def attention_widths(channels: int) -> tuple[int, int]:
    """Channels of self-attention's queries and keys, and of its values."""
    return max(1, channels // 8), max(1, channels // 2)


def generator_parameters(model: ModelSpec, resolution: int, *, fading: bool = False) -> int:
    """Parameters of a stage's generator; with `fading`, also the previous resolution's toRGB."""
    if model.arch == "dcgan":
        return _dcgan_generator(model, resolution)
    first = width(model, FIRST_RESOLUTION)
    biases = 16 * first if model.variant == "pytorch_gan_zoo" else first
    per_map = 4 if model.generator.refers else 0  # two norms in a block, each with scale and shift
    total = model.first_inputs * 16 * first + biases + _conv(first, first) + per_map * first
    if model.variant == "pro_gan_pytorch":
        total -= per_map // 2 * first
    for size in resolutions(resolution, 2 * FIRST_RESOLUTION):
        maps = width(model, size)
        total += _conv(width(model, size // 2), maps) + _conv(maps, maps) + per_map * maps
        total += _attention(maps) if size in model.generator.attention else 0
    outputs = [resolution, resolution // 2] if fading else [resolution]
    return total + sum(_conv(width(model, size), model.channels, kernel=1) for size in outputs)


def discriminator_parameters(model: ModelSpec, resolution: int, *, fading: bool = False) -> int:
    """Parameters that a stage's discriminator trains; `fading` as for the generator."""
    if model.arch == "dcgan":
        return _dcgan_discriminator(model, resolution) * model.discriminator.critics
    first, dense = width(model, FIRST_RESOLUTION), width(model, FIRST_RESOLUTION // 2)
    minibatch = model.discriminator.minibatch
    total = _conv(first + (minibatch == "stddev"), first) + 16 * first * dense + dense
    per_map = 0 if model.discriminator.norm == "none" else 2  # a norm's scale and shift
    total += per_map * first
    features = dense + representative_features(model)
    if minibatch == "discrimination":
        total += dense * KERNELS * KERNEL_SIZE
        features += KERNELS
    if model.discriminator.head.kind == "autoencoder":
        decoder = decoder_model(model, features)
        total += generator_parameters(decoder, resolution, fading=fading)
    else:
        total += _head(model, features)
    total += _namer(model, features)
    for size in resolutions(resolution, 2 * FIRST_RESOLUTION):
        maps = width(model, size)
        total += _conv(maps, maps) + _conv(maps, width(model, size // 2))
        total += per_map * (maps + width(model, size // 2))
        total += _attention(maps) if size in model.discriminator.attention else 0
    inputs = [resolution, resolution // 2] if fading else [resolution]
    total += sum(_conv(model.channels, width(model, size), kernel=1) for size in inputs)
    return total * model.discriminator.critics


def _dcgan_generator(model: ModelSpec, resolution: int) -> int:
    spec, total, before = model.generator, 0, model.first_inputs
    per_map = 2 if spec.refers else 1  # a norm's scale and shift, or a bias
    for size in resolutions(finest(model, resolution)):
        maps = width(model, size)
        total += 16 * before * maps + per_map * maps
        total += _attention(maps) if size in spec.attention else 0
        before = maps
    return total + _conv(before, model.channels, kernel=4)


def _dcgan_discriminator(model: ModelSpec, resolution: int) -> int:
    spec, top = model.discriminator, finest(model, resolution)
    per_map = 1 if spec.norm == "none" else 2
    total = _conv(model.channels, width(model, top), kernel=4)
    for size in resolutions(top, 2 * FIRST_RESOLUTION):
        maps, fewer = width(model, size), width(model, size // 2)
        total += 16 * maps * fewer + per_map * fewer
        total += _attention(maps) if size in spec.attention else 0
    features = 16 * (width(model, FIRST_RESOLUTION) + (spec.minibatch == "stddev"))
    if spec.minibatch == "discrimination":
        total += features * KERNELS * KERNEL_SIZE
        features += KERNELS
    features += representative_features(model)
    return total + _head(model, features) + _namer(model, features)


def _attention(channels: int) -> int:
    narrow, half = attention_widths(channels)
    projections = 2 * _conv(channels, narrow, 1) + _conv(channels, half, 1)
    return projections + _conv(half, channels, 1) + 1


def _head(model: ModelSpec, features: int) -> int:
    conditional = {
        "acgan": model.classes * (features + 1),
        "projection": model.classes * features,
        "infogan": model.generator.codes.width * (features + 1),
    }
    return features + 1 + conditional.get(model.discriminator.head.kind, 0)


def _namer(model: ModelSpec, features: int) -> int:
    """The classifier of a mixture's generators."""
    return model.indices * (features + 1)


def _conv(in_channels: int, out_channels: int, kernel: int = 3) -> int:
    return kernel * kernel * in_channels * out_channels + out_channels
