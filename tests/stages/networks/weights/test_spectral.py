"""Spectral normalisation against NumPy's SVD; growing, exporting and averaging with it."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from progan.stages.engine import ema
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import EqualizedConv2d, EqualizedLinear, downscale, upscale
from progan.stages.networks.weights.spectral import (
    add_spectral_norm,
    convert_spectral_norm,
    power_iteration,
)
from progan.stages.networks.weights.weighted_layer import (
    largest_singular_value,
    layers,
    used_weight,
)
from progan.stages.specs.model import ModelSpec
from progan.stages.storage import handoff

MODEL = ModelSpec(latent=8, fmap_base=64, fmap_max=8, stddev_group=2)


def normalised(network: nn.Module, iterations: int = 1) -> nn.Module:
    add_spectral_norm(network)
    for _ in range(iterations):
        power_iteration(network)
    return network


def converged(network: Generator) -> Generator:
    normalised(network, 500)
    return network


def test_power_iteration_matches_numpy() -> None:
    layer = EqualizedLinear(5, 3).double()
    layer.u = torch.nn.functional.normalize(torch.randn(3, dtype=torch.float64), dim=0)
    weight, before = layer.weight.detach().numpy(), layer.u.numpy().copy()
    power_iteration(layer)
    v = weight.T @ before
    u = weight @ (v / np.linalg.norm(v))
    np.testing.assert_allclose(layer.u, u / np.linalg.norm(u), 1e-12)


def test_all_discriminator_layers_have_spectral_norm_1() -> None:
    discriminator = normalised(Discriminator(MODEL, 16, fading=True).double(), 500)
    found = list(layers(discriminator))
    assert len(found) == 2 + 4 + 3
    for _, layer in found:
        matrix = used_weight(layer).detach().flatten(1).numpy()
        assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=1e-6)


def test_gradient_matches_the_papers_formula() -> None:
    """d(W / sigma) = (E - W_sn u v^T) / sigma, with the largest singular vectors as constants."""
    torch.manual_seed(0)
    layer = EqualizedLinear(4, 3).double()
    normalised(layer, 2000)
    direction = torch.randn(3, 4, dtype=torch.float64)
    torch.autograd.backward((used_weight(layer) * direction).sum())
    u, s, vt = np.linalg.svd(layer.weight.detach().numpy())
    inner = (direction.numpy() * layer.weight.detach().numpy() / s[0]).sum()
    expected = (direction.numpy() - inner * np.outer(u[:, 0], vt[0])) / s[0]
    assert layer.weight.grad is not None
    np.testing.assert_allclose(layer.weight.grad, expected, atol=1e-9)


@pytest.mark.parametrize("resample", ["up", "down"])
def test_fused_resampling_equals_two_steps(resample: str) -> None:
    torch.manual_seed(0)
    fused = EqualizedConv2d(3, 5, resample="up" if resample == "up" else "down")
    add_spectral_norm(fused)
    plain = copy.deepcopy(fused)
    plain.resample = None
    x = torch.randn(2, 3, 8, 8)
    expected = plain(upscale(x)) if resample == "up" else downscale(plain(x))
    torch.testing.assert_close(fused(x), expected, rtol=1e-4, atol=1e-5)


def test_equalized_scale_cancels_out() -> None:
    layer = EqualizedLinear(4, 3)
    add_spectral_norm(layer)
    before = used_weight(layer)
    layer.scale *= 7
    torch.testing.assert_close(used_weight(layer), before)


def test_singular_value_is_float32_under_autocast() -> None:
    layer = EqualizedLinear(64, 64)
    add_spectral_norm(layer)
    assert layer.u is not None
    with torch.autocast("cpu", torch.bfloat16):
        half = largest_singular_value(layer.weight, layer.u)
    assert half == largest_singular_value(layer.weight, layer.u)


def test_vectors_are_reproducible_and_in_the_state_dict() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(normalised(Discriminator(MODEL, 8)).state_dict())
    assert {k for k in states[0] if k.endswith(".u")} >= {"blocks.8.conv0.u", "head.dense.u"}
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name])


def test_folded_weights_generate_the_same_images() -> None:
    generator, plain = converged(Generator(MODEL, 16)), Generator(MODEL, 16)
    plain.load_state_dict(convert_spectral_norm(generator.state_dict(), plain))
    latents = torch.randn(3, 8)
    torch.testing.assert_close(plain(latents), generator(latents), rtol=1e-4, atol=1e-5)


def grown(previous: nn.Module, network: nn.Module) -> dict[str, Tensor]:
    state = {k: v for k, v in previous.state_dict().items() if not k.startswith("to_rgb.4.")}
    handoff.grow(network, state, 16)
    return network.state_dict()


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_growing_keeps_the_image_with_or_without_normalisation(before: bool, after: bool) -> None:
    torch.manual_seed(0)
    previous, network = Generator(MODEL, 8), Generator(MODEL, 16, fading=True)
    if before:
        converged(previous)
    if after:
        converged(network)
    state = grown(previous, network)
    if before and after:
        assert torch.equal(state["blocks.8.conv0.u"], previous.state_dict()["blocks.8.conv0.u"])
    if before or not after:
        latents = torch.randn(3, 8)
        expected = upscale(previous(latents))
        torch.testing.assert_close(network(latents, 0.0), expected, rtol=1e-4, atol=1e-5)


def test_ema_copies_the_singular_vectors() -> None:
    generator = converged(Generator(MODEL, 4))
    average = copy.deepcopy(generator)
    power_iteration(generator)
    ema.update(average, generator, 0.5)
    for own, other in zip(average.buffers(), generator.buffers(), strict=True):
        assert torch.equal(own, other)
