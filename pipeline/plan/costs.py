"""What a stage's step costs in comparison with another stage's, by arithmetic alone; no torch."""

from collections.abc import Sequence

from progan.stages.networks.widths import (
    autoencoder_model,
    discriminator_parameters,
    finest,
    generator_parameters,
    resolutions,
    width,
)
from progan.stages.specs.model import FIRST_RESOLUTION, ModelSpec
from progan.stages.specs.stage import StageSpec

PER_VALUE, PER_WEIGHT, PER_BLOCK = 300, 80, 110_000_000
"""Costs, in multiplications, of one value of a picture's feature maps, of one weight in a step, and
of one block's overhead in a step. Fitted to steps in fp32 on one CPU thread, of networks of 16
to 512 maps (tests/pipeline/plan/test_costs.py)."""
DECODING = "autoencoder"
"""The head with a second generator"""
PER_BLOCK_ON_GPU = 14_000_000_000
"""A GPU multiplies far faster, and its host starts no more operations in a second: computed from
240 launches a block, not measured"""


def step_cost(spec: StageSpec, batch: int, *, on_gpus: bool) -> float:
    """Of a step of `batch` images, in multiplications; only ratios of it mean something."""
    model, sizes = spec.model, list(resolutions(finest(spec.model, spec.resolution)))
    networks = 1 + model.discriminator.critics * (1 + (model.discriminator.head.kind == DECODING))
    picture = _picture_cost(model, sizes)
    weights = generator_parameters(model, sizes[-1]) + discriminator_parameters(model, sizes[-1])
    per_block = PER_BLOCK_ON_GPU if on_gpus else PER_BLOCK
    blocks = networks * len(sizes)
    pictures = networks * picture
    if encoder := model.discriminator.representative:
        seen = list(resolutions(encoder.resolution))
        shape, critics = autoencoder_model(encoder, model.channels), model.discriminator.critics
        blocks += critics * len(seen)
        pictures += critics * _picture_cost(shape, seen)
    return batch * pictures + PER_WEIGHT * weights + per_block * blocks / 2


def _picture_cost(model: ModelSpec, sizes: Sequence[int]) -> int:
    """Of one picture in all blocks of one network."""
    return sum(_multiply_adds(model, size) + PER_VALUE * _values(model, size) for size in sizes)


def _multiply_adds(model: ModelSpec, size: int) -> int:
    """Of one picture in one network's block: a 3x3 layer, and one that resamples by 4x4 kernels.

    The first block has a dense layer instead. DCGAN only resamples.
    """
    maps, coarser = width(model, size), width(model, size // 2)
    kept = 0 if model.arch == "dcgan" else 9 * maps**2 * size**2
    if size == FIRST_RESOLUTION:
        return kept + 16 * maps * (model.first_inputs + coarser) // 2
    return kept + 16 * coarser * maps * (size // 2) ** 2


def _values(model: ModelSpec, size: int) -> int:
    """Of the feature maps of a picture in one network's block, of two layers."""
    return 2 * width(model, size) * size**2
