"""Random numbers depend on their key, and ranks draw slices of one batch."""

import numpy as np
import pytest
import torch

from progan.stages.rng import Purpose, RngStreams, grid_latents, keyed, weight_seed


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_slices_of_all_ranks_make_the_global_batch(ranks: int) -> None:
    whole = RngStreams(1, 8, 16, 0, 1)
    parts = [RngStreams(1, 8, 16, rank, ranks) for rank in range(ranks)]
    latents = [rng.latents(Purpose.CRITIC_LATENTS, 320, 5) for rng in parts]
    assert torch.equal(torch.cat(latents), whole.latents(Purpose.CRITIC_LATENTS, 320, 5))
    assert torch.equal(torch.cat([rng.epsilon(320) for rng in parts]), whole.epsilon(320))
    noise = [rng.noise(320, (3, 8, 8)) for rng in parts]
    assert torch.equal(torch.cat(noise), whole.noise(320, (3, 8, 8)))


def test_every_part_of_the_key_changes_the_numbers() -> None:
    keys = [(0, 8, 0, 0), (1, 8, 0, 0), (0, 16, 0, 0), (0, 8, 1, 0), (0, 8, 0, 16)]
    first = {
        tuple(keyed(seed, resolution, Purpose(purpose), count).standard_normal(4))
        for seed, resolution, purpose, count in keys
    }
    assert len(first) == len(keys)


def test_streams_of_two_steps_do_not_overlap() -> None:
    one = keyed(0, 8, Purpose.CRITIC_LATENTS, 1).random(100_000)
    two = keyed(0, 8, Purpose.CRITIC_LATENTS, 2).random(100_000)
    assert not np.isin(one, two).any()


def test_every_picture_has_its_own_noise() -> None:
    rng = RngStreams(1, 8, 16, 0, 1)
    noise = torch.cat([rng.noise(320, (3, 8, 8)), rng.noise(336, (3, 8, 8))])
    assert len(set(noise[:, 0, 0, 0].tolist())) == 32
    assert noise.mean().abs() < 0.05 and (noise.std() - 1).abs() < 0.05
    assert rng.noise(320, (0,)).shape == (16, 0)


def test_larger_grid_begins_with_the_smaller_one() -> None:
    assert torch.equal(grid_latents(0, 64, 8)[:16], grid_latents(0, 16, 8))


def test_weight_seeds_differ_by_stage() -> None:
    assert len({weight_seed(seed, r) for seed in (0, 1) for r in (4, 8, 16)}) == 6
