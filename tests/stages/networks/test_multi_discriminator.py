"""Several critics: what they say together is what each says alone."""

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
def critics() -> MultiDiscriminator:
    torch.manual_seed(0)
    return MultiDiscriminator(TWO, 8)


def alone(critics: MultiDiscriminator) -> list[Discriminator]:
    return [critic for critic in critics.each if isinstance(critic, Discriminator)]


def test_each_sees_its_own_copy(critics: MultiDiscriminator) -> None:
    images = torch.randn(4, 3, 8, 8)
    expected = torch.cat([critic(images) for critic in alone(critics)])
    torch.testing.assert_close(critics(*repeat_batch(2, images)), expected)
    assert not torch.equal(*expected.chunk(2))


def test_the_critics_loss_is_the_mean_of_each_ones_penalties_and_all(
    critics: MultiDiscriminator,
) -> None:
    batch = torch.randn(4, 3, 8, 8), torch.randn(4, 8), torch.rand(4)
    spec = ObjectiveSpec()
    losses = []
    for shape, judges in ((TWO, [critics]), (ONE, alone(critics))):
        torch.manual_seed(1)
        generator = Generator(shape, 8)
        losses.append(
            torch.stack(
                [discriminator_objective(generator, j, *batch, 1.0, spec).loss for j in judges]
            ).mean()
        )
    torch.testing.assert_close(losses[0], losses[1])


@pytest.mark.parametrize("faced", ["mean", "hardest"])
def test_the_generator_faces_them(
    critics: MultiDiscriminator, faced: Literal["mean", "hardest"]
) -> None:
    generator, latents = Generator(TWO, 8), torch.randn(4, 8)
    spec = ObjectiveSpec(critics=faced, penalties=())
    each = torch.stack([-critic(generator(latents)) for critic in alone(critics)])
    expected = each.mean() if faced == "mean" else each.amax(dim=0).mean()
    found = generator_objective(generator, critics, latents, 1.0, spec).loss
    torch.testing.assert_close(found, expected)


def test_all_of_them_grow_and_are_counted(critics: MultiDiscriminator) -> None:
    grown = MultiDiscriminator(TWO, 16, fading=True)
    handoff.grow(grown, parameters(critics), 16)
    images = torch.randn(4, 3, 16, 16)
    small = torch.nn.functional.avg_pool2d(images, 2)
    torch.testing.assert_close(
        grown(*repeat_batch(2, images), 0.0), critics(*repeat_batch(2, small))
    )
    counted = discriminator_parameters(TWO, 16, fading=True)
    assert sum(parameter.numel() for parameter in grown.parameters()) == counted
