"""Self-attention against NumPy, and inside the networks."""

import numpy as np
import torch

from progan.stages.networks.attention import SelfAttention
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import EqualizedConv2d
from progan.stages.specs.model import ModelSpec

WITHOUT = ModelSpec(latent=8, fmap_base=32, fmap_max=16, stddev_group=2)
ATTENTION = {part: {"attention": (8,)} for part in ("generator", "discriminator")}
WITH = ModelSpec.model_validate(WITHOUT.model_dump() | ATTENTION)


def project(layer: EqualizedConv2d, x: np.ndarray) -> np.ndarray:
    """A 1x1 convolution of (C, positions)."""
    weight = layer.weight.detach().numpy()[:, :, 0, 0] / np.sqrt(len(x))
    projected: np.ndarray = weight @ x + layer.bias.detach().numpy()[:, None]
    return projected


def test_self_attention_matches_numpy() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(16).double()
    for bias in (layer.query.bias, layer.key.bias, layer.value.bias, layer.out.bias):
        torch.nn.init.normal_(bias)
    torch.nn.init.constant_(layer.gate, 0.7)
    x = torch.randn(2, 16, 3, 5, dtype=torch.float64)
    for image, found in zip(x.numpy().reshape(2, 16, 15), layer(x).detach().numpy(), strict=True):
        scores = np.exp(project(layer.key, image).T @ project(layer.query, image))
        weights = scores / scores.sum(axis=0)
        expected = image + 0.7 * project(layer.out, project(layer.value, image) @ weights)
        np.testing.assert_allclose(found.reshape(16, 15), expected, 1e-10)


def test_attention_starts_as_identity_and_is_twice_differentiable() -> None:
    latents = torch.randn(4, 8)
    images = torch.randn(4, 3, 16, 16, requires_grad=True)
    for kind, given in ((Generator, latents), (Discriminator, images)):
        without, with_attention = kind(WITHOUT, 16), kind(WITH, 16)
        found = with_attention.load_state_dict(without.state_dict(), strict=False)
        assert found.missing_keys and all("8.attention" in key for key in found.missing_keys)
        assert torch.equal(without(given), with_attention(given))
    weights = dict(with_attention.named_parameters())
    torch.nn.init.ones_(weights["blocks.8.attention.gate"])
    (gradient,) = torch.autograd.grad(with_attention(images).sum(), images, create_graph=True)
    query = weights["blocks.8.attention.query.weight"]
    (second,) = torch.autograd.grad(gradient.square().sum(), query)
    assert second.abs().sum() > 0
