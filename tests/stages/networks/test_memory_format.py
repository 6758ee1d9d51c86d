"""Channels-last feature maps give the same results."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from objective_of import discriminator_objective, generator_objective
from progan.stages.engine.precision import memory_format
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.stage import EngineSpec

MODEL = ModelSpec(latent=8, fmap_base=128, fmap_max=16)
LAST = torch.channels_last


def gradients(order: torch.memory_format) -> dict[str, Tensor]:
    """Of both objectives with gradient penalty, within a fade, in float64."""
    torch.manual_seed(0)
    generator = Generator(MODEL, 16, fading=True).double()
    discriminator = Discriminator(MODEL, 16, fading=True).double()
    generator.memory_format = discriminator.memory_format = order
    reals = torch.randn(8, 3, 16, 16, dtype=torch.float64)
    latents, mix = torch.randn(8, 8, dtype=torch.float64), torch.rand(8, dtype=torch.float64)
    networks, spec = (generator, discriminator), ObjectiveSpec()
    for objective in (
        discriminator_objective(*networks, reals, latents, mix, 0.3, spec),
        generator_objective(*networks, latents, 0.3, spec),
    ):
        torch.autograd.backward(objective.loss)
    both = nn.ModuleDict({"generator": generator, "discriminator": discriminator})
    return {name: p.grad for name, p in both.named_parameters() if p.grad is not None}


def test_gradients_do_not_depend_on_the_memory_format() -> None:
    torch.testing.assert_close(gradients(LAST), gradients(torch.contiguous_format))


def channels_last_outputs(network: nn.Module, inputs: Sequence[Tensor]) -> set[bool]:
    """Whether the feature maps from 8x8 on are channels last."""
    found: set[bool] = set()

    def hook(module: nn.Module, _: object, output: Tensor) -> None:
        if output.dim() == 4 and output.shape[-1] >= 8 and output.shape[1] > 3:
            found.add(output.is_contiguous(memory_format=LAST))

    for module in network.modules():
        module.register_forward_hook(hook)
    network(*inputs)
    return found


@torch.no_grad()
def test_all_blocks_keep_channels_last() -> None:
    generator, discriminator = Generator(MODEL, 16), Discriminator(MODEL, 16)
    generator.memory_format = discriminator.memory_format = LAST
    assert channels_last_outputs(generator, [torch.randn(4, 8)]) == {True}
    assert channels_last_outputs(discriminator, [torch.randn(4, 3, 16, 16)]) == {True}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_half_precision_uses_channels_last(precision: str) -> None:
    engine = EngineSpec.model_validate({"precision": precision})
    assert (memory_format(engine) == LAST) == (precision != "fp32")
