"""The order of the samples is a function of the position alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progan.datasets.order import (
    Integers,
    _epoch_order,
    hold_out,
    mirrored,
    rank_positions,
    sample_indices,
)

SIZES = st.integers(1, 200)
SEEDS = st.integers(-(2**70), 2**70)
EPOCHS = st.integers(0, 10**9)


def order(start: int, stop: int, size: int, seed: int = 0, resolution: int = 64) -> Integers:
    positions = np.arange(start, stop, dtype=np.int64)
    return sample_indices(positions, num_samples=size, seed=seed, resolution=resolution)


@given(SIZES, SEEDS, EPOCHS)
def test_every_epoch_shows_every_sample_once(size: int, seed: int, epoch: int) -> None:
    shown = order(epoch * size, (epoch + 1) * size, size, seed)
    assert sorted(shown) == list(range(size))


@given(SIZES, SEEDS, st.integers(0, 500), st.integers(0, 500))
def test_order_from_any_position_is_a_tail_of_the_whole_order(
    size: int, seed: int, start: int, length: int
) -> None:
    whole = order(0, start + length, size, seed)
    assert (order(start, start + length, size, seed) == whole[start:]).all()


@given(st.integers(1, 8), st.integers(1, 16), st.integers(0, 10**12))
def test_slices_of_ranks_partition_the_batch(world: int, share: int, position: int) -> None:
    batch = world * share
    parts = [
        rank_positions(position, batch=batch, rank=rank, world_size=world) for rank in range(world)
    ]
    assert (np.concatenate(parts) == np.arange(position, position + batch)).all()


def shown_by_ranks(start: int, steps: int, world: int, share: int, size: int) -> list[int]:
    """The samples that `world` ranks show in `steps` steps from position `start`."""
    batch, shown = world * share, []
    for step in range(steps):
        position = start + step * batch
        for rank in range(world):
            positions = rank_positions(position, batch=batch, rank=rank, world_size=world)
            shown += sample_indices(positions, num_samples=size, seed=3, resolution=8).tolist()
    return shown


@given(SIZES, st.integers(1, 8), st.integers(1, 16))
def test_all_ranks_together_show_every_sample_once_an_epoch(
    size: int, world: int, share: int
) -> None:
    epochs = 2
    steps = -(-epochs * size // (world * share))
    shown = shown_by_ranks(0, steps, world, share, size)
    for epoch in range(epochs):
        assert sorted(shown[epoch * size : (epoch + 1) * size]) == list(range(size))


SEGMENTS = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=6
)


@given(SIZES, SEGMENTS)
def test_world_size_and_batch_may_change_at_any_step(
    size: int, segments: list[tuple[int, int, int]]
) -> None:
    """Segments of (steps, ranks, pictures per rank) show the same samples as a single rank."""
    shown: list[int] = []
    for steps, world, share in segments:
        shown += shown_by_ranks(len(shown), steps, world, share, size)
    assert shown == order(0, len(shown), size, seed=3, resolution=8).tolist()


@pytest.mark.parametrize("position", [0, 10**8, 10**15])
def test_cost_does_not_depend_on_the_position(position: int) -> None:
    positions = np.arange(position, position + 64, dtype=np.int64)
    shown = sample_indices(positions, num_samples=1000, seed=0, resolution=64)
    assert len(set(shown.tolist())) == 64 or position % 1000 > 936
    assert _epoch_order.cache_info().currsize <= 2  # replays and keeps nothing


def test_epochs_seeds_and_resolutions_have_different_orders() -> None:
    orders = [
        order(0, 50, 50),
        order(50, 100, 50),
        order(0, 50, 50, seed=1),
        order(0, 50, 50, resolution=128),
    ]
    assert len({tuple(shown) for shown in orders}) == 4


def test_order_is_that_of_earlier_versions() -> None:
    # Do not edit these figures: runs of earlier versions resume with them.
    assert order(0, 8, 8, seed=7).tolist() == [2, 0, 6, 4, 1, 7, 5, 3]
    flips = mirrored(np.arange(12, dtype=np.int64), seed=7, resolution=64)
    assert "".join("01"[int(flip)] for flip in flips) == "101111011110"


def test_half_of_the_pictures_are_mirrored() -> None:
    flips = mirrored(np.arange(100_000, dtype=np.int64), seed=3, resolution=8)
    assert abs(flips.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(flips[1:], flips[:-1])[0, 1]) < 0.02


def test_first_sample_of_epochs_is_uniform() -> None:
    firsts = [int(order(16 * epoch, 16 * epoch + 1, 16)[0]) for epoch in range(1600)]
    counts = np.bincount(firsts, minlength=16)
    assert ((counts - 100) ** 2 / 100).sum() < 38  # chi-squared, 15 degrees of freedom, p = 0.001


@pytest.mark.parametrize(("batch", "rank", "world"), [(6, 0, 4), (0, 0, 1), (4, 4, 4)])
def test_batch_that_ranks_cannot_divide_raises_value_error(
    batch: int, rank: int, world: int
) -> None:
    with pytest.raises(ValueError, match="rank"):
        rank_positions(0, batch=batch, rank=rank, world_size=world)


@given(SIZES, st.floats(0, 1), SEEDS)
def test_held_out_and_trained_samples_are_the_data_set(size: int, share: float, seed: int) -> None:
    held_out = round(size * share)
    found = hold_out(size, held_out, seed=seed)
    assert len(found.held_out) == held_out
    assert sorted([*found.held_out, *found.trained]) == list(range(size))


def test_samples_are_held_out_at_random() -> None:
    chosen = [set(hold_out(1000, 100, seed=seed).held_out.tolist()) for seed in range(60)]
    shared = [len(one & other) for one, other in zip(chosen, chosen[1:], strict=False)]
    assert np.mean(shared) == pytest.approx(10, abs=2)
    assert np.mean([sum(index < 500 for index in each) for each in chosen]) == pytest.approx(
        50, abs=3
    )
