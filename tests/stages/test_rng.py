"""RngStreams depend on what they are for, and ranks share one batch."""

import numpy as np
import pytest
import torch

from progan.stages.rng import Purpose, RngStreams, grid_latents, keyed, weight_seed


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_slices_make_up_the_same_batch(ranks: int) -> None:
    whole = RngStreams(1, 8, 16, 0, 1)
    parts = [RngStreams(1, 8, 16, rank, ranks) for rank in range(ranks)]
    latents = [draws.latents(Purpose.CRITIC_LATENTS, 320, 5) for draws in parts]
    assert torch.equal(torch.cat(latents), whole.latents(Purpose.CRITIC_LATENTS, 320, 5))
    assert torch.equal(torch.cat([draws.epsilon(320) for draws in parts]), whole.epsilon(320))
    noise = [draws.noise(320, (3, 8, 8)) for draws in parts]
    assert torch.equal(torch.cat(noise), whole.noise(320, (3, 8, 8)))


def test_every_part_of_the_key_matters() -> None:
    keys = [(0, 8, 0, 0), (1, 8, 0, 0), (0, 16, 0, 0), (0, 8, 1, 0), (0, 8, 0, 16)]
    first = {
        tuple(keyed(seed, resolution, Purpose(purpose), count).standard_normal(4))
        for seed, resolution, purpose, count in keys
    }
    assert len(first) == len(keys)


def test_steps_do_not_overlap_however_much_one_draws() -> None:
    one = keyed(0, 8, Purpose.CRITIC_LATENTS, 1).random(100_000)
    two = keyed(0, 8, Purpose.CRITIC_LATENTS, 2).random(100_000)
    assert not np.isin(one, two).any()


def test_no_two_pictures_have_the_same_noise() -> None:
    draws = RngStreams(1, 8, 16, 0, 1)
    noise = torch.cat([draws.noise(320, (3, 8, 8)), draws.noise(336, (3, 8, 8))])
    assert len(set(noise[:, 0, 0, 0].tolist())) == 32
    assert noise.mean().abs() < 0.05 and (noise.std() - 1).abs() < 0.05
    assert draws.noise(320, (0,)).shape == (16, 0)


def test_a_larger_grid_begins_with_the_smaller_one() -> None:
    assert torch.equal(grid_latents(0, 64, 8)[:16], grid_latents(0, 16, 8))


def test_new_weights_differ_from_stage_to_stage() -> None:
    assert len({weight_seed(seed, r) for seed in (0, 1) for r in (4, 8, 16)}) == 6
