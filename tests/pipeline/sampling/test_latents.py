"""Latents by seed, truncated and interpolated, against independent implementations."""

import math

import pytest
import scipy.stats
import torch

from progan.pipeline.sampling.latents import loop, seed_latents, slerp, truncate
from progan.stages.networks.generator import Generator
from progan.stages.rng import grid_latents
from progan.stages.specs.model import ModelSpec


def test_latent_of_a_seed_does_not_depend_on_other_seeds() -> None:
    assert torch.equal(seed_latents([7, 3, 100], 16)[1], seed_latents([3], 16)[0])
    assert torch.equal(seed_latents([3], 16), grid_latents(3, 1, 16))


@pytest.mark.parametrize("psi", [0.3, 1.0, 2.0])
def test_truncated_latents_follow_the_truncated_normal_distribution(psi: float) -> None:
    values = truncate(grid_latents(0, 100, 400), psi).flatten().double().numpy()
    assert abs(values).max() <= psi
    # 40,000 values: the Kolmogorov-Smirnov distance exceeds 0.01 once in 1,500 times.
    distance = scipy.stats.kstest(values, scipy.stats.truncnorm(-psi, psi).cdf).statistic
    assert distance < 0.01


def test_truncation_is_monotonic_in_psi_and_vanishes_for_large_psi() -> None:
    latents = grid_latents(1, 2, 64)
    assert torch.allclose(truncate(latents, 30.0), latents, atol=1e-6)
    shrunk = [truncate(latents, psi).abs() for psi in (2.0, 1.0, 0.5)]
    assert all((small < large).all() for large, small in zip(shrunk, shrunk[1:], strict=False))


def test_generator_ignores_scale_of_latents() -> None:
    """Why truncation is not a scaling: the generator uses only a latent's direction."""
    generator = Generator(ModelSpec(latent=16, fmap_base=64, fmap_max=16), 8)
    latents = grid_latents(0, 4, 16)
    with torch.no_grad():
        whole, half = generator(latents), generator(0.5 * latents)
        truncated = generator(truncate(latents, 0.5))
    assert torch.allclose(whole, half, atol=1e-5)
    assert not torch.allclose(whole, truncated, atol=1e-2)


def test_slerp_is_rotation_in_the_plane_of_both_latents() -> None:
    begin, end = torch.nn.functional.normalize(grid_latents(5, 2, 32).double())
    # By Gram-Schmidt, without dividing by the sine of the angle.
    across = torch.nn.functional.normalize(end - (end @ begin) * begin, dim=0)
    angle = math.acos(float(end @ begin))
    for t in (0.0, 0.2, 0.5, 0.9, 1.0):
        turned = math.cos(t * angle) * begin + math.sin(t * angle) * across
        assert torch.allclose(
            slerp(begin[None], end[None], torch.tensor([t]))[0], turned, atol=1e-7
        )


def test_slerp_of_equal_latents_is_constant() -> None:
    latent = grid_latents(0, 1, 8)
    assert torch.allclose(slerp(latent, latent, torch.tensor([0.3])), latent)


def test_loop_is_closed_on_the_sphere_and_passes_all_latents() -> None:
    latents = grid_latents(0, 3, 24)
    frames = loop(latents, 24, 12)
    assert torch.allclose(frames.norm(dim=1), torch.tensor(math.sqrt(24.0)))
    passed = torch.nn.functional.normalize(frames[[0, 4, 8]])
    assert torch.allclose(passed, torch.nn.functional.normalize(latents), atol=1e-6)
    # Angles between neighbours are equal on each leg, including from the last frame to the first.
    unit = torch.nn.functional.normalize(frames)
    angles = torch.acos((unit * unit.roll(-1, 0)).sum(1)).view(3, 4)
    assert torch.allclose(angles, angles.mean(1, keepdim=True), atol=1e-3)
