"""Random numbers depend on their key, and ranks draw slices of one batch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from progan.stages import rng as rng_module
from progan.stages.rng import Purpose, RngStreams, box_muller, grid_latents, keyed, weight_seed


@pytest.mark.parametrize("size", [1, 5, 8, 512, 3 * 150 * 150])
def test_a_rank_draws_its_slice_of_the_global_batch_whatever_the_number_of_ranks(size: int) -> None:
    def drawn(ranks: int) -> list[torch.Tensor]:
        streams = [RngStreams(1, 8, 24, rank, ranks) for rank in range(ranks)]
        return [
            torch.cat([rng.latents(Purpose.CRITIC_LATENTS, 320, size) for rng in streams]),
            torch.cat([rng.epsilon(320) for rng in streams]),
            torch.cat([rng.noise(320, (1, size)) for rng in streams]),
            torch.cat([rng.uniforms(Purpose.CRITIC_AUGMENTATION, 320, size) for rng in streams]),
        ]

    whole = drawn(1)
    assert [tuple(x.shape) for x in whole] == [(24, size), (24,), (24, 1, size), (24, size)]
    for ranks in (2, 3, 4, 6, 8, 12, 24):
        for found, expected in zip(drawn(ranks), whole, strict=True):
            assert torch.equal(found, expected)


def test_a_rank_draws_no_more_than_its_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = 0

    def counted(words: np.ndarray, out: np.ndarray) -> None:
        nonlocal drawn
        drawn += len(out)

    monkeypatch.setattr(rng_module, "box_muller", counted)
    RngStreams(1, 8, 4096, 100, 512).latents(Purpose.CRITIC_LATENTS, 0, 512)
    assert drawn == 8 * 512


def test_latents_are_standard_normal() -> None:
    rng = RngStreams(1, 8, 4096, 0, 1)
    rows = rng.latents(Purpose.CRITIC_LATENTS, 0, 500).numpy().astype(np.float64)
    drawn, number = rows.ravel(), rows.size
    assert stats.kstest(drawn, "norm").pvalue > 0.01
    for order, (moment, variance) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], start=1):
        assert abs((drawn**order).mean() - moment) < 4 * (variance / number) ** 0.5
    tail = (np.abs(drawn) > 4).sum() / (2 * stats.norm.sf(4) * number)
    assert 0.7 < tail < 1.3 and 4.7 < np.abs(drawn).max() < 6.66
    # Neither rows nor columns know of each other, nor the two numbers of one random word.
    for one in (
        rows[:-1] * rows[1:],
        rows[:, :-1] * rows[:, 1:],
        rows[:, ::2] ** 2 * rows[:, 1::2],
    ):
        assert abs(one.mean()) < 4 * one.std() / one.size**0.5


def test_uniform_numbers_are_uniform_and_never_0_or_1(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = RngStreams(1, 8, 4096, 0, 1)
    drawn = rng.uniforms(Purpose.CRITIC_AUGMENTATION, 0, 14)
    assert drawn.dtype == torch.float32
    assert stats.kstest(drawn.numpy().ravel(), "uniform").pvalue > 0.01
    assert not torch.equal(drawn, rng.uniforms(Purpose.GENERATOR_AUGMENTATION, 0, 14))
    for word, expected in ((0, 2.0**-24), (2**64 - 1, 1 - 2.0**-24)):
        bits = SimpleNamespace(random_raw=lambda shape, word=word: np.full(shape, word, np.uint64))
        monkeypatch.setattr(rng_module, "_philox", lambda *_, bits=bits: bits)
        assert (rng.uniforms(Purpose.CRITIC_AUGMENTATION, 0, 3).double() == expected).all()


def test_box_muller_is_the_formula_and_finite_at_the_ends() -> None:
    random = np.random.default_rng(0).integers(2**64, size=10_000, dtype=np.uint64)
    words = np.concatenate([[np.uint64(0), np.uint64(2**64 - 1), np.uint64(2**31)], random])
    found = np.empty(2 * len(words), dtype=np.float32)
    box_muller(words, found)
    uniform, angle = (words >> np.uint64(32)) + 1.0, words.astype(np.uint32).astype(np.int32)
    radius = np.sqrt(-2 * np.log(uniform / 2**32))
    expected = np.stack([radius * np.cos(angle * np.pi / 2**31),
                         radius * np.sin(angle * np.pi / 2**31)], axis=1).ravel()  # fmt: skip
    # Where the radius is near 0 its error is larger: there float32 cannot tell u from 1.
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-4)
    assert np.median(np.abs(found - expected)) < 1e-7


def test_epsilon_is_uniform_in_0_to_1() -> None:
    epsilon = RngStreams(1, 8, 100_000, 0, 1).epsilon(0).numpy()
    assert stats.kstest(epsilon, "uniform").pvalue > 0.01
    assert 0 <= epsilon.min() and epsilon.max() < 1


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
