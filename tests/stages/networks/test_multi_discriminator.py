"""Several discriminators together compute what each computes alone."""

from typing import Literal

import pytest
import torch

from objective_of import discriminator_objective, generator_objective
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import MultiDiscriminator, repeat_batch
from progan.stages.networks.widths import discriminator_parameters
from progan.stages.specs.model import DiscriminatorSpec, ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.storage import handoff
from progan.stages.storage.tensors import parameters

ONE = ModelSpec(latent=8, fmap_base=32, fmap_max=8, stddev_group=2)
TWO = ONE.model_copy(update={"discriminator": DiscriminatorSpec(critics=2)})


@pytest.fixture
def discriminators() -> MultiDiscriminator:
    torch.manual_seed(0)
    return MultiDiscriminator(TWO, 8)


def separate(discriminators: MultiDiscriminator) -> list[Discriminator]:
    return [d for d in discriminators.each if isinstance(d, Discriminator)]


def test_each_discriminator_gets_its_own_copy(discriminators: MultiDiscriminator) -> None:
    images = torch.randn(4, 3, 8, 8)
    expected = torch.cat([d(images) for d in separate(discriminators)])
    torch.testing.assert_close(discriminators(*repeat_batch(2, images)), expected)
    assert not torch.equal(*expected.chunk(2))


def test_loss_is_the_mean_of_the_separate_losses(
    discriminators: MultiDiscriminator,
) -> None:
    batch = torch.randn(4, 3, 8, 8), torch.randn(4, 8), torch.rand(4)
    spec = ObjectiveSpec()
    losses = []
    for model, networks in ((TWO, [discriminators]), (ONE, separate(discriminators))):
        torch.manual_seed(1)
        generator = Generator(model, 8)
        losses.append(
            torch.stack(
                [discriminator_objective(generator, d, *batch, 1.0, spec).loss for d in networks]
            ).mean()
        )
    torch.testing.assert_close(losses[0], losses[1])


@pytest.mark.parametrize("rule", ["mean", "hardest"])
def test_generator_loss_reduces_over_discriminators(
    discriminators: MultiDiscriminator, rule: Literal["mean", "hardest"]
) -> None:
    generator, latents = Generator(TWO, 8), torch.randn(4, 8)
    spec = ObjectiveSpec(critics=rule, penalties=())
    each = torch.stack([-d(generator(latents)) for d in separate(discriminators)])
    expected = each.mean() if rule == "mean" else each.amax(dim=0).mean()
    found = generator_objective(generator, discriminators, latents, 1.0, spec).loss
    torch.testing.assert_close(found, expected)


def test_discriminators_grow_and_are_counted(discriminators: MultiDiscriminator) -> None:
    grown = MultiDiscriminator(TWO, 16, fading=True)
    handoff.grow(grown, parameters(discriminators), 16)
    images = torch.randn(4, 3, 16, 16)
    small = torch.nn.functional.avg_pool2d(images, 2)
    torch.testing.assert_close(
        grown(*repeat_batch(2, images), 0.0), discriminators(*repeat_batch(2, small))
    )
    counted = discriminator_parameters(TWO, 16, fading=True)
    assert sum(parameter.numel() for parameter in grown.parameters()) == counted
