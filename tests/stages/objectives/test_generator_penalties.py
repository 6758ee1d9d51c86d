"""Terms of the generator's loss against NumPy, in float64."""

import numpy as np
import pytest
import torch

from objective_of import generator_objective, generator_penalty
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.heads import Scalar
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.penalties import FeatureMatching, PullingAway

MATCHING = FeatureMatching(kind="feature_matching", weight=2, group=3)
MODEL = ModelSpec(latent=8, fmap_base=32, fmap_max=8, stddev_group=2)


def test_feature_matching_is_its_formula_and_pulls_on_fakes_alone() -> None:
    torch.manual_seed(0)
    reals, fakes = (torch.randn(6, 3, 2, 2, dtype=torch.float64) for _ in range(2))
    weights = torch.randn(7, 12, dtype=torch.float64)
    for tensor in (reals, fakes):
        tensor.requires_grad_()

    def features(images: torch.Tensor) -> torch.Tensor:
        return torch.tanh(images.flatten(1) @ weights.T)

    term = generator_penalty(MATCHING, features=features, fakes=fakes, reals=reals)

    real, fake = (
        np.tanh(x.detach().numpy().reshape(6, 12) @ weights.numpy().T) for x in (reals, fakes)
    )
    expected = [
        np.mean([d[i] @ d[j] for i in range(3) for j in range(3) if i != j])
        for d in (real[:3] - fake[:3], real[3:] - fake[3:])
    ]
    np.testing.assert_allclose(term.detach(), expected, 1e-12)
    torch.autograd.backward(term.sum())
    assert reals.grad is None and fakes.grad is not None


def test_collapsed_fakes_cost_more_than_fakes_like_the_reals() -> None:
    """Of 16 features of variance 1: on average 0 for the same law, 16 for a single sample of it."""
    torch.manual_seed(0)
    reals, alike, same_picture = (torch.randn(24_000, 16, dtype=torch.float64) for _ in range(3))

    def cost(fakes: torch.Tensor) -> float:
        found = generator_penalty(MATCHING, features=lambda x: x, fakes=fakes, reals=reals)
        return float(found.mean())

    distance = float(same_picture[0].square().sum())
    assert cost(alike) == pytest.approx(0, abs=0.3)
    assert cost(same_picture[:1].expand_as(reals)) == pytest.approx(distance, abs=0.5)
    assert cost(torch.zeros_like(reals)) == pytest.approx(
        0, abs=0.3
    )  # no less than alike: its mean


def test_pulling_away_is_the_mean_squared_cosine_of_pairs() -> None:
    torch.manual_seed(0)
    fakes = torch.randn(6, 3, 2, 2, dtype=torch.float64)
    spec = PullingAway(kind="pulling_away", weight=0.1, group=3)
    found = generator_penalty(spec, features=lambda x: x.flatten(1), fakes=fakes)
    features = fakes.numpy().reshape(2, 3, 12)
    expected = [
        np.mean(
            [
                (a @ b / np.linalg.norm(a) / np.linalg.norm(b)) ** 2
                for i, a in enumerate(group)
                for j, b in enumerate(group)
                if i != j
            ]
        )
        for group in features
    ]
    np.testing.assert_allclose(found, expected, 1e-12)


def test_features_are_what_the_last_layer_sees() -> None:
    discriminator = Discriminator(MODEL, 8, fading=True)
    images = torch.randn(4, 3, 8, 8)
    features = discriminator.forward_features(images, 0.3).features
    assert features.shape == (4, 8)
    head = discriminator.head
    assert isinstance(head, Scalar)
    logits = head.dense(features).flatten()
    torch.testing.assert_close(logits, discriminator(images, 0.3), rtol=0, atol=0)


def test_the_generators_loss_is_the_sum_of_its_parts() -> None:
    torch.manual_seed(0)
    generator, discriminator = Generator(MODEL, 8), Discriminator(MODEL, 8)
    latents, reals = torch.randn(6, 8), torch.randn(6, 3, 8, 8)
    spec = ObjectiveSpec(penalties=(MATCHING,))
    part = generator_objective(generator, discriminator, latents, 1.0, spec, reals).scalars
    expected = 2 * part["generator_feature_matching_penalty"] - part["generator_logits"]
    torch.testing.assert_close(part["generator_loss"], expected)
