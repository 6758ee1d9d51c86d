"""Activation checkpointing: the same losses and gradients to the last bit."""

import copy
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from objective_of import discriminator_objective, generator_objective
from progan.stages.engine.frozen import frozen
from progan.stages.engine.precision import autocast
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.stage import EngineSpec

MODEL = ModelSpec(latent=8, fmap_base=128, fmap_max=8, stddev_group=2)


class Networks(NamedTuple):
    generator: Generator
    discriminator: Discriminator


def make_networks(dtype: torch.dtype) -> Networks:
    torch.manual_seed(0)
    generator = Generator(MODEL, 16, fading=True)
    discriminator = Discriminator(MODEL, 16, fading=True)
    return Networks(generator.to(dtype), discriminator.to(dtype))


def with_recompute(networks: Networks, resolution: int) -> Networks:
    """The same networks, whose blocks at `resolution` and above are recomputed."""
    copied = copy.deepcopy(networks)
    copied.generator.recompute_from = copied.discriminator.recompute_from = resolution
    return copied


def gradients(loss: Tensor, network: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters())))


def both_gradients(nets: Networks, precision: AbstractContextManager[object]) -> list[Tensor]:
    """Of the discriminator's objective, with its double backward, and of the generator's."""
    torch.manual_seed(1)
    dtype = next(nets.generator.parameters()).dtype
    reals, latents = torch.randn(4, 3, 16, 16, dtype=dtype), torch.randn(4, 8, dtype=dtype)
    mix = torch.rand(4, dtype=dtype)
    with precision:
        of_discriminator = discriminator_objective(*nets, reals, latents, mix, 0.5, ObjectiveSpec())
    found = gradients(of_discriminator.loss, nets.discriminator)
    with frozen(nets.discriminator):
        with precision:
            of_generator = generator_objective(*nets, latents, 0.5, ObjectiveSpec())
        return found + gradients(of_generator.loss, nets.generator)


@pytest.mark.parametrize("lowest", [4, 16])
@pytest.mark.parametrize("precision", ["float64", "bf16"])
def test_gradients_are_bitwise_equal(lowest: int, precision: str) -> None:
    half = precision == "bf16"
    stored = make_networks(torch.float32 if half else torch.float64)
    precision_context = autocast(EngineSpec(precision="bf16"), "cpu") if half else nullcontext()
    expected = both_gradients(stored, precision_context)
    found = both_gradients(with_recompute(stored, lowest), precision_context)
    assert found[0].any() and found[-1].any()
    assert all(map(torch.equal, found, expected))


def test_only_blocks_from_the_resolution_on_run_twice() -> None:
    generator = with_recompute(make_networks(torch.float32), 16).generator
    runs: list[str] = []
    for size, block in generator.blocks.items():
        block.register_forward_pre_hook(lambda *_, size=size: runs.append(size))
    generator(torch.randn(2, 8)).sum().backward()
    assert runs == ["4", "8", "16", "16"]


@pytest.mark.parametrize("resolution", [0, 1, 2, 48, 2048, -4])
def test_invalid_resolution_is_rejected(resolution: int) -> None:
    with pytest.raises(ValidationError, match="must be a power of two from 4 to 1024"):
        EngineSpec(activation_checkpointing=resolution)
