"""The layers against slower, independent implementations."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.functions.pixel_norm import pixel_norm
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import (
    EqualizedConv2d,
    EqualizedLinear,
    downscale,
    minibatch_stddev,
    upscale,
)
from progan.stages.networks.minibatch import MinibatchDiscrimination
from progan.stages.networks.widths import KERNEL_SIZE, KERNELS
from progan.stages.specs.model import ModelSpec

SMALL = ModelSpec(latent=8, fmap_base=32, fmap_max=8)


def two_step_up(conv: EqualizedConv2d, x: Tensor) -> Tensor:
    return F.conv2d(upscale(x), conv.weight * conv.scale, conv.bias, padding=1)


def two_step_down(conv: EqualizedConv2d, x: Tensor) -> Tensor:
    return downscale(F.conv2d(x, conv.weight * conv.scale, conv.bias, padding=1))


@pytest.mark.parametrize(("resample", "two_steps"), [("up", two_step_up), ("down", two_step_down)])
def test_fused_resampling_equals_two_steps(
    resample: str, two_steps: Callable[[EqualizedConv2d, Tensor], Tensor]
) -> None:
    torch.manual_seed(0)
    conv = EqualizedConv2d(5, 7, resample=resample)  # type: ignore[arg-type]
    torch.nn.init.normal_(conv.bias)
    x = torch.randn(3, 5, 8, 8, requires_grad=True)
    fused, expected = conv(x), two_steps(conv, x)
    torch.testing.assert_close(fused, expected, atol=1e-5, rtol=1e-5)

    weights = torch.randn_like(fused)
    inputs = (x, conv.weight, conv.bias)
    gradients = torch.autograd.grad((fused * weights).sum(), inputs)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), inputs)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-5, rtol=1e-5)


def test_equalized_layer_output_has_std_gain() -> None:
    torch.manual_seed(0)
    x = torch.randn(4096, 300)
    for gain in (1.0, math.sqrt(2)):
        assert EqualizedLinear(300, 50, gain=gain)(x).std().item() == pytest.approx(gain, rel=0.05)


def test_gains_match_the_official_code() -> None:
    generator, discriminator = Generator(SMALL, 8), Discriminator(SMALL, 8)
    scales = {
        name: module.scale
        for network in (generator, discriminator)
        for name, module in network.named_modules()
        if hasattr(module, "scale")
    }
    root2 = math.sqrt(2)
    assert scales["blocks.4.dense"] == pytest.approx(root2 / 4 / math.sqrt(8))
    assert scales["to_rgb.8"] == pytest.approx(1 / math.sqrt(8))
    assert scales["from_rgb.8"] == pytest.approx(root2 / math.sqrt(3))
    assert scales["blocks.8.conv0"] == pytest.approx(root2 / math.sqrt(9 * 8))
    assert scales["head.dense"] == pytest.approx(1 / math.sqrt(8))


def test_weights_start_standard_normal_and_biases_zero() -> None:
    for name, parameter in Generator(ModelSpec(), 8).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.numel() > 10_000:
            assert parameter.std().item() == pytest.approx(1, rel=0.02)


def test_pixel_norm_gives_unit_mean_square() -> None:
    x = pixel_norm(torch.randn(2, 64, 3, 3) * 7)
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(2, 3, 3))


def numpy_stddev(x: np.ndarray, group: int) -> np.ndarray:
    maps = [
        np.full((1, *x.shape[2:]), np.sqrt(x[start : start + group].var(axis=0) + 1e-8).mean())
        for start in range(0, len(x), group)
        for _ in range(group)
    ]
    return np.concatenate([x, np.stack(maps)], axis=1)


@pytest.mark.parametrize("group", [1, 2, 4])
def test_minibatch_stddev_matches_numpy(group: int) -> None:
    x = np.random.default_rng(0).normal(size=(8, 5, 4, 4))
    ours = minibatch_stddev(torch.from_numpy(x).float(), group).numpy()
    np.testing.assert_allclose(ours, numpy_stddev(x, group), atol=1e-5)


def test_minibatch_stddev_rejects_incomplete_groups() -> None:
    with pytest.raises(ValueError, match="multiple of the stddev group"):
        minibatch_stddev(torch.zeros(6, 1, 4, 4), 4)


def test_minibatch_stddev_is_within_groups() -> None:
    x = torch.randn(8, 3, 4, 4)
    torch.testing.assert_close(minibatch_stddev(x, 4)[:4], minibatch_stddev(x[:4], 4))


def test_discriminator_is_twice_differentiable() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(ModelSpec(latent=4, fmap_base=8, fmap_max=4, stddev_group=2), 8)
    discriminator.double()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(discriminator, (images,), fast_mode=True)


def test_minibatch_discrimination_matches_numpy() -> None:
    layer = MinibatchDiscrimination(6, group=3).double()
    x = torch.randn(9, 6, dtype=torch.float64)
    found = layer(x).detach().numpy()
    weight = layer.weight.detach().numpy() / np.sqrt(6)
    kernels = (x.numpy() @ weight).reshape(9, KERNELS, KERNEL_SIZE)
    for i in range(9):
        others = range(i // 3 * 3, i // 3 * 3 + 3)
        near = sum(np.exp(-np.abs(kernels[i] - kernels[j]).sum(axis=1)) for j in others)
        np.testing.assert_allclose(found[i, 6:], near, 1e-12)
    np.testing.assert_array_equal(found[:, :6], x.numpy())


def test_minibatch_discrimination_is_within_groups() -> None:
    layer = MinibatchDiscrimination(6, group=2)
    x = torch.randn(4, 6)
    torch.testing.assert_close(layer(x)[:2], layer(x[:2]))
