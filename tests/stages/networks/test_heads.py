"""Heads against NumPy, and their auxiliary losses in both objectives."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from objective_of import discriminator_objective, generator_objective
from progan.stages.networks.conditioning import cycling_labels, with_conditions
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.heads import Autoencoder, AuxiliaryClassifier, CodePredictor, Projection
from progan.stages.networks.layers import EqualizedLinear, upscale
from progan.stages.networks.widths import Growing
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.storage import handoff
from progan.stages.storage.tensors import parameters

LABELS = torch.tensor([0, 2, 1, 2])
ONE_HOT = F.one_hot(LABELS, 3).double()
IMAGES = torch.zeros(4, 3, 8, 8)


def model(head: Any, classes: int = 3) -> ModelSpec:
    fields = {"latent": 8, "fmap_base": 32, "fmap_max": 8, "stddev_group": 2, "classes": classes}
    return ModelSpec.model_validate(fields | {"discriminator": {"head": head}})


def numbers(tensor: Tensor) -> np.ndarray:
    found: np.ndarray = tensor.detach().numpy()
    return found


def dense(layer: EqualizedLinear, x: np.ndarray) -> np.ndarray:
    """x W^T / sqrt(fan_in) + b: a layer of gain 1."""
    applied: np.ndarray = x @ numbers(layer.weight).T / np.sqrt(x.shape[1]) + numbers(layer.bias)
    return applied


def test_projection_matches_numpy() -> None:
    torch.manual_seed(0)
    head = Projection(5, model("projection"), Growing(8)).double()
    features = torch.randn(4, 5, dtype=torch.float64)
    embedded = numbers(head.embedding.weight)[numbers(LABELS)] / np.sqrt(5)
    plain = dense(head.dense, numbers(features))[:, 0]
    expected = (embedded * numbers(features)).sum(axis=1) + plain
    np.testing.assert_allclose(numbers(head(features, ONE_HOT, IMAGES, 1.0)), expected, 1e-12)
    assert head.auxiliary_losses(features, ONE_HOT, fakes=True) == {}


def test_acgan_loss_is_the_weighted_cross_entropy() -> None:
    torch.manual_seed(0)
    head = AuxiliaryClassifier(5, model({"kind": "acgan", "weight": 0.3}), Growing(8)).double()
    torch.nn.init.normal_(head.classifier.bias)
    features = torch.randn(4, 5, dtype=torch.float64)
    exps = np.exp(dense(head.classifier, numbers(features)))
    probabilities = exps[range(4), numbers(LABELS)] / exps.sum(axis=1)
    found = head.auxiliary_losses(features, ONE_HOT, fakes=True)
    assert list(found) == ["class_loss"]
    np.testing.assert_allclose(numbers(found["class_loss"]), -0.3 * np.log(probabilities), 1e-12)


def infogan_model() -> ModelSpec:
    """Two categorical codes, of 3 and 2 values, and two continuous ones."""
    generator = {"codes": {"categorical": (3, 2), "continuous": 2}}
    plain = model({"kind": "infogan", "weight": 0.5}, classes=0)
    return ModelSpec.model_validate(plain.model_dump() | {"generator": generator})


def test_infogan_loss_is_the_negative_log_likelihood_of_the_codes() -> None:
    torch.manual_seed(0)
    head = CodePredictor(5, infogan_model(), Growing(8)).double()
    torch.nn.init.normal_(head.reader.bias)
    features = torch.randn(4, 5, dtype=torch.float64)
    codes = with_conditions(torch.randn(4, 12, dtype=torch.float64), LABELS, infogan_model())[:, 8:]
    predicted = dense(head.reader, numbers(features))
    expected = ((predicted[:, 5:] - numbers(codes)[:, 5:]) ** 2).sum(axis=1) / 2
    for columns in (slice(0, 3), slice(3, 5)):
        exps = np.exp(predicted[:, columns])
        probabilities = (exps * numbers(codes)[:, columns]).sum(axis=1) / exps.sum(axis=1)
        expected -= np.log(probabilities)
    found = head.auxiliary_losses(features, codes, fakes=True)
    np.testing.assert_allclose(numbers(found["code_loss"]), 0.5 * expected, 1e-12)
    assert head.auxiliary_losses(features, codes, fakes=False) == {}


def test_codes_are_uniform_and_a_function_of_the_noise() -> None:
    noise = torch.randn(30_000, 12, generator=torch.Generator().manual_seed(0))
    codes = with_conditions(noise, torch.full((30_000,), -1), infogan_model())[:, 8:]
    three, two, continuous = torch.split(codes, [3, 2, 2], dim=1)
    assert three.sum(dim=1).eq(1).all() and two.sum(dim=1).eq(1).all()
    assert three.mean(dim=0).sub(1 / 3).abs().max() < 0.01
    assert two.mean(dim=0).sub(1 / 2).abs().max() < 0.01
    assert continuous.abs().max() <= 1 and continuous.std().item() == pytest.approx(
        1 / np.sqrt(3), rel=0.01
    )
    assert torch.equal(three.argmax(dim=1) == 0, noise[:, 8] < -0.430727)


@pytest.mark.parametrize("head", ["acgan", "projection"])
def test_both_objectives_depend_on_the_class(head: str) -> None:
    torch.manual_seed(0)
    networks = Generator(model(head), 8), Discriminator(model(head), 8)
    reals, noise, mix = torch.randn(4, 3, 8, 8), torch.randn(4, 8), torch.rand(4)
    losses = []
    for labels in (LABELS, LABELS.roll(1)):
        latents = with_conditions(noise, labels, model(head))
        spec = ObjectiveSpec()
        telling = discriminator_objective(*networks, reals, latents, mix, 1.0, spec)
        deceiving = generator_objective(*networks, latents, 1.0, spec)
        losses.append([each.loss.item() for each in (telling, deceiving)])
    assert losses[0][0] != losses[1][0] and losses[0][1] != losses[1][1]


def test_acgan_loss_is_part_of_both_objectives() -> None:
    torch.manual_seed(0)
    shape = model({"kind": "acgan", "weight": 2.0})
    networks = Generator(shape, 8), Discriminator(shape, 8)
    reals, mix = torch.randn(4, 3, 8, 8), torch.rand(4)
    latents = with_conditions(torch.randn(4, 8), LABELS, shape)
    plain = ObjectiveSpec(penalties=())
    told = discriminator_objective(*networks, reals, latents, mix, 1.0, plain)
    costs = {k: float(v) for k, v in told.scalars.items()}
    adversarial = costs["fake_logits"] - costs["real_logits"]
    whole = adversarial + costs["real_class_loss"] + costs["fake_class_loss"]
    assert told.loss.item() == pytest.approx(whole, rel=1e-5)
    deceived = generator_objective(*networks, latents, 1.0, plain)
    logits = networks[1](networks[0](latents), 1.0, latents[:, 8:])
    whole = (-logits.mean() + deceived.scalars["generator_class_loss"]).item()
    assert deceived.loss.item() == pytest.approx(whole, rel=1e-5)


def test_labels_are_one_hot_after_the_latents() -> None:
    latents = torch.randn(4, 8)
    inputs = with_conditions(latents, LABELS, model("acgan"))
    assert inputs[:, :8].equal(latents) and inputs[:, 8:].argmax(dim=1).equal(LABELS)
    assert inputs[:, 8:].sum(dim=1).tolist() == [1.0] * 4
    assert with_conditions(latents, torch.full((4,), -1), model("scalar", 0)) is latents
    assert cycling_labels(5, 3).tolist() == [0, 1, 2, 0, 1]
    assert cycling_labels(3, 0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("power", [1, 2])
def test_energy_is_the_reconstruction_error(power: int) -> None:
    torch.manual_seed(0)
    shape = model({"kind": "autoencoder", "power": power}, classes=0)
    discriminator = Discriminator(shape, 8, fading=True)
    images = torch.randn(4, 3, 8, 8)
    output = discriminator.forward_features(images, 0.3)
    assert isinstance(discriminator.head, Autoencoder)
    reconstruction = numbers(discriminator.head.decoder(output.features, 0.3))
    energies = (np.abs(numbers(images) - reconstruction) ** power).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(numbers(-output.logits), energies, 1e-5)


def test_autoencoder_at_alpha_0_is_the_previous_one() -> None:
    """On an up-scaled image, since at alpha 0 it sees only the down-scaled one."""
    torch.manual_seed(0)
    shape = model("autoencoder", classes=0)
    before = Discriminator(shape, 8)
    after = Discriminator(shape, 16, fading=True)
    handoff.grow(after, parameters(before), 16)
    images = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(after(upscale(images), 0.0), before(images))
