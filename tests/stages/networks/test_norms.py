"""Norms against NumPy, and their independence of how a batch is split."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.norms import BatchNorm, LayerNorm, VirtualBatchNorm
from progan.stages.specs.model import DiscriminatorSpec, GeneratorSpec, ModelSpec

SPEC = GeneratorSpec(norm="batch", norm_group=2, reference=3)


def model(norm: str) -> ModelSpec:
    fields = {"latent": 8, "fmap_base": 32, "fmap_max": 8, "classes": 2}
    generator = {"norm": norm, "norm_group": 2, "reference": 3}
    return ModelSpec.model_validate(fields | {"generator": generator})


def activated(layer: BatchNorm | VirtualBatchNorm, normed: np.ndarray) -> np.ndarray:
    weight, bias = (w.detach().numpy()[:, None, None] for w in (layer.weight, layer.bias))
    x = normed * weight + bias
    found: np.ndarray = np.where(x > 0, x, 0.2 * x)
    return found


def layer(kind: Any) -> Any:
    torch.manual_seed(0)
    made = kind(4, SPEC).double()
    torch.nn.init.normal_(made.weight)
    torch.nn.init.normal_(made.bias)
    return made


def test_batch_norm_uses_groups_in_training_and_the_reference_batch_in_evaluation() -> None:
    norm, x = layer(BatchNorm), torch.randn(6, 4, 3, 3, dtype=torch.float64)
    values = x.numpy()
    groups = values.reshape(3, 2, 4, 3, 3)
    mean, variance = (f(groups, axis=(1, 3, 4), keepdims=True) for f in (np.mean, np.var))
    expected = activated(norm, ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(6, 4, 3, 3))
    np.testing.assert_allclose(norm(x).detach(), expected, 1e-10)
    mean, variance = (f(values[:3], axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.var))
    expected = activated(norm, (values - mean) / np.sqrt(variance + 1e-5))
    np.testing.assert_allclose(norm.eval()(x).detach(), expected, 1e-10)


def test_virtual_batch_norm_uses_the_reference_batch_and_the_sample() -> None:
    norm, x = layer(VirtualBatchNorm), torch.randn(5, 4, 3, 3, dtype=torch.float64)
    values = x.numpy()
    for index, sample in enumerate(values):
        batch = values[:3] if index < 3 else np.concatenate([values[:3], sample[None]])
        mean, variance = (f(batch, axis=(0, 2, 3))[:, None, None] for f in (np.mean, np.var))
        expected = activated(norm, (sample - mean) / np.sqrt(variance + 1e-5))
        np.testing.assert_allclose(norm(x)[index].detach(), expected, 1e-9)


def test_layer_norm_is_per_sample() -> None:
    norm, x = LayerNorm(4, DiscriminatorSpec()).double(), torch.randn(5, 4, 3, 3).double()
    mean, variance = (f(x.numpy(), axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.var))
    normed = (x.numpy() - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(norm(x).detach(), np.where(normed > 0, normed, 0.2 * normed), 1e-9)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_discriminator_norms_are_within_groups(norm: str) -> None:
    fields = {"norm": norm, "norm_group": 2, "minibatch": "none"}
    shape = {"latent": 8, "fmap_base": 32, "fmap_max": 8, "discriminator": fields}
    discriminator = Discriminator(ModelSpec.model_validate(shape), 8).double()
    images = torch.randn(6, 3, 8, 8, dtype=torch.float64)
    parts = [discriminator(part) for part in torch.split(images, 2)]
    torch.testing.assert_close(discriminator(images), torch.cat(parts))


def generated(norm: str, latents: Tensor, *, training: bool) -> Tensor:
    torch.manual_seed(1)
    generator = Generator(model(norm), 8).double()
    images: Tensor = generator.train(training)(latents)
    return images


@pytest.mark.parametrize(
    ("norm", "training"), [("batch", True), ("batch", False), ("virtual_batch", True)]
)
def test_images_do_not_depend_on_how_the_batch_is_split(norm: str, training: bool) -> None:
    latents = torch.randn(6, 10, dtype=torch.float64)
    whole = generated(norm, latents, training=training)
    parts = [generated(norm, part, training=training) for part in torch.split(latents, 2)]
    torch.testing.assert_close(torch.cat(parts), whole)
    assert whole.shape == (6, 3, 8, 8)


def test_reference_batch_is_in_the_state_dict() -> None:
    generator = Generator(model("virtual_batch"), 8)
    reference = generator.state_dict()["reference"]
    assert reference.shape == (3, 10) and reference[:, 8:].sum(dim=1).eq(1).all()
    assert "reference" not in Generator(model("pixel"), 8).state_dict()
