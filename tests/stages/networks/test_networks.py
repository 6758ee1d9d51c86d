"""Growing: at alpha 0 the previous network, at alpha 1 the new path alone."""

from typing import TypeVar

import pytest
import torch

from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import downscale, upscale
from progan.stages.specs.model import ModelSpec
from progan.stages.storage.handoff import grow

NARROW = ModelSpec(latent=8, fmap_base=512, fmap_max=8, stddev_group=2)
Network = TypeVar("Network", Generator, Discriminator)
TRANSITIONS = [8, 16, 32, 64, 128, 256, 512, 1024]


def grown(kind: type[Network], resolution: int) -> tuple[Network, Network]:
    """A network and the one grown from it, at twice the resolution."""
    torch.manual_seed(resolution)
    old = kind(NARROW, resolution // 2)
    new = kind(NARROW, resolution, fading=True)
    grow(new, old.state_dict(), resolution)
    return old, new


@pytest.mark.parametrize("resolution", TRANSITIONS)
@torch.no_grad()
def test_generator_at_alpha_0_is_the_previous_one_upscaled(resolution: int) -> None:
    old, new = grown(Generator, resolution)
    latents = torch.randn(2, 8)
    torch.testing.assert_close(new(latents, 0.0), upscale(old(latents)))


@pytest.mark.parametrize("resolution", TRANSITIONS)
@torch.no_grad()
def test_generator_at_alpha_1_is_the_new_path_alone(resolution: int) -> None:
    _, new = grown(Generator, resolution)
    alone = Generator(NARROW, resolution)
    alone.load_state_dict({k: v for k, v in new.state_dict().items() if k in alone.state_dict()})
    latents = torch.randn(2, 8)
    assert torch.equal(new(latents, 1.0), alone(latents))
    torch.testing.assert_close(new(latents, 1 - 1e-7), alone(latents))


@pytest.mark.parametrize("resolution", TRANSITIONS)
@torch.no_grad()
def test_discriminator_at_alpha_0_is_the_previous_one_on_downscaled_images(resolution: int) -> None:
    old, new = grown(Discriminator, resolution)
    images = torch.randn(2, 3, resolution, resolution)
    torch.testing.assert_close(new(images, 0.0), old(downscale(images)))


@pytest.mark.parametrize("resolution", TRANSITIONS)
@torch.no_grad()
def test_discriminator_at_alpha_1_is_the_new_path_alone(resolution: int) -> None:
    _, new = grown(Discriminator, resolution)
    alone = Discriminator(NARROW, resolution)
    alone.load_state_dict({k: v for k, v in new.state_dict().items() if k in alone.state_dict()})
    images = torch.randn(2, 3, resolution, resolution)
    assert torch.equal(new(images, 1.0), alone(images))


def test_generator_is_invariant_to_the_latents_scale() -> None:
    generator = Generator(NARROW, 8)
    latents = torch.randn(2, 8)
    torch.testing.assert_close(generator(latents), generator(latents * 3))


def test_alpha_one_half_is_the_mean_of_both_paths() -> None:
    _, new = grown(Generator, 16)
    latents = torch.randn(2, 8)
    middle = (new(latents, 0.0) + new(latents, 1.0)) / 2
    torch.testing.assert_close(new(latents, 0.5), middle)


def test_every_parameter_has_a_gradient_within_a_fade() -> None:
    _, generator = grown(Generator, 16)
    _, discriminator = grown(Discriminator, 16)
    discriminator(generator(torch.randn(4, 8), 0.5), 0.5).sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            # A shift of all logits moves no gradient but the last bias's own.
            assert parameter.grad is not None and parameter.grad.any(), name
