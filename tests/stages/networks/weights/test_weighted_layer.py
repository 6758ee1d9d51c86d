"""Kernels that are made once for several passes change no result."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from progan.stages.engine.precision import autocast, memory_format, set_memory_format
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import transposed
from progan.stages.networks.weights.spectral import add_spectral_norm
from progan.stages.networks.weights.weighted_layer import (
    Prepared,
    WeightedLayer,
    layers,
    prepared_kernels,
)
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import EngineSpec

MODEL = ModelSpec(latent=8, fmap_base=128, fmap_max=16, stddev_group=2)
DCGAN = ModelSpec(
    latent=8, fmap_base=128, fmap_max=16, arch="dcgan", discriminator={"minibatch": "none"}
)


def networks_and_loss(
    model: ModelSpec, normalise: bool, engine: EngineSpec
) -> tuple[tuple[nn.Module, nn.Module], Callable[[], Tensor]]:
    """Both networks at 16x16, and a loss of several passes with a gradient penalty."""
    fading = model.arch != "dcgan"
    generator = Generator(model, 16, fading=fading)
    discriminator = Discriminator(model, 16, fading=fading)
    for network in (generator, discriminator):
        set_memory_format(network, engine)
        if normalise:
            add_spectral_norm(network)
    latents, alpha = torch.randn(4, model.latent), 0.5 if fading else 1.0

    def loss() -> Tensor:
        images = generator(latents, alpha)
        logits = discriminator(images, alpha) + discriminator(images.detach() + 0.1, alpha)
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        total: Tensor = gradient.square().sum() + logits.square().sum()
        return total.float()

    return (generator, discriminator), loss


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("model", [MODEL, DCGAN], ids=["progressive", "dcgan"])
def test_gradients_are_those_without_preparation(
    model: ModelSpec, normalise: bool, precision: str
) -> None:
    torch.manual_seed(0)
    engine = EngineSpec(precision=precision)
    networks, loss = networks_and_loss(model, normalise, engine)
    weights = [p for network in networks for p in network.parameters()]

    def gradients() -> Tensor:
        found = torch.autograd.grad(loss(), weights)
        return torch.cat([each.flatten() for each in found])

    with autocast(engine, "cpu"):
        plain = gradients()
        with prepared_kernels(networks, memory_format(engine)):
            prepared = gradients()
    difference = (plain - prepared).norm() / plain.norm()
    assert difference < (1e-5 if precision == "fp32" else 0.02)


def test_a_kernel_is_made_once_and_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, made = Generator(MODEL, 16), []
    prepare = WeightedLayer.prepare

    def counted(layer: WeightedLayer, memory_format: torch.memory_format) -> Prepared:
        made.append(layer)
        return prepare(layer, memory_format)

    monkeypatch.setattr(WeightedLayer, "prepare", counted)
    with prepared_kernels([generator], torch.contiguous_format):
        generator(torch.randn(2, 8))
        generator(torch.randn(2, 8))
    assert made == [layer for _, layer in layers(generator)]
    assert all(layer.prepared is None for layer in made)


def test_borrowed_weights_are_not_replaced_by_prepared_ones() -> None:
    """`functional_call` with other weights, as unrolled steps do."""
    generator, latents = Generator(MODEL, 8), torch.randn(2, 8)
    others = {name: p.detach() * 2 for name, p in generator.named_parameters()}
    expected = functional_call(generator, others, (latents,))
    with prepared_kernels([generator], torch.contiguous_format):
        torch.testing.assert_close(functional_call(generator, others, (latents,)), expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_transposed_kernels_have_the_memory_format(memory_format: torch.memory_format) -> None:
    kernel = torch.randn(3, 5, 4, 4)
    found = transposed(kernel, memory_format)
    assert found.is_contiguous(memory_format=memory_format)
    assert torch.equal(found, kernel.transpose(0, 1))
