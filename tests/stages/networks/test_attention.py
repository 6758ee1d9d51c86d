"""Self-attention against its formula in NumPy, and in the networks."""

import numpy as np
import torch

from progan.stages.networks.attention import SelfAttention
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import EqualizedConv2d
from progan.stages.specs.model import ModelSpec

PLAIN = ModelSpec(latent=8, fmap_base=32, fmap_max=16, stddev_group=2)
ATTENTION = {part: {"attention": (8,)} for part in ("generator", "discriminator")}
ATTENTIVE = ModelSpec.model_validate(PLAIN.model_dump() | ATTENTION)


def project(layer: EqualizedConv2d, x: np.ndarray) -> np.ndarray:
    """A 1x1 convolution of (C, places)."""
    weight = layer.weight.detach().numpy()[:, :, 0, 0] / np.sqrt(len(x))
    projected: np.ndarray = weight @ x + layer.bias.detach().numpy()[:, None]
    return projected


def test_it_is_its_formula() -> None:
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


def test_networks_begin_as_those_without_and_have_gradients_of_gradients() -> None:
    latents = torch.randn(4, 8)
    images = torch.randn(4, 3, 16, 16, requires_grad=True)
    for kind, given in ((Generator, latents), (Discriminator, images)):
        plain, attentive = kind(PLAIN, 16), kind(ATTENTIVE, 16)
        found = attentive.load_state_dict(plain.state_dict(), strict=False)
        assert found.missing_keys and all("8.attention" in key for key in found.missing_keys)
        assert torch.equal(plain(given), attentive(given))
    weights = dict(attentive.named_parameters())
    torch.nn.init.ones_(weights["blocks.8.attention.gate"])
    (slope,) = torch.autograd.grad(attentive(images).sum(), images, create_graph=True)
    query = weights["blocks.8.attention.query.weight"]
    (curve,) = torch.autograd.grad(slope.square().sum(), query)
    assert curve.abs().sum() > 0
