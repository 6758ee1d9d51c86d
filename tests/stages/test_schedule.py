"""Schedules as functions of the images seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from progan.stages.schedule import alpha, becomes_steady, ends_tick, phase
from progan.stages.specs.stage import EmaSpec, GrowthSpec, TickSpec

GROWTH = GrowthSpec(fade_images=1000, steady_images=500)


@pytest.mark.parametrize(
    ("seen", "expected"), [(0, 0.0), (250, 0.25), (999, 0.999), (1000, 1.0), (1400, 1.0)]
)
def test_alpha_rises_linearly(seen: int, expected: float) -> None:
    assert alpha(seen, GROWTH) == expected


def test_first_stage_has_no_fade() -> None:
    growth = GrowthSpec(fade_images=0, steady_images=10)
    assert (alpha(0, growth), phase(0, growth), phase(10, growth)) == (1.0, "steady", "done")


def test_phases_of_a_fade() -> None:
    seen = (0, 999, 1000, 1499, 1500)
    assert [phase(n, GROWTH) for n in seen] == ["fading", "fading", "steady", "steady", "done"]


def test_stacked_training_is_separate_and_then_joint_at_full_resolution() -> None:
    stacked = GrowthSpec(mode="stacked", fade_images=1000, steady_images=500)
    seen = (0, 999, 1000, 1499, 1500)
    assert [phase(n, stacked) for n in seen] == ["separate", "separate", "joint", "joint", "done"]
    assert {alpha(n, stacked) for n in seen} == {1.0}
    steps = range(0, 1500, 64)
    assert [seen for seen in steps if becomes_steady(seen, 64, stacked)] == [1024]


@given(st.integers(1, 300), st.integers(0, 2000), st.integers(1, 2000))
def test_becomes_steady_in_exactly_one_step(batch: int, fade: int, steady: int) -> None:
    growth = GrowthSpec(fade_images=fade, steady_images=steady)
    steps = range(0, growth.total_images + batch, batch)
    entries = [seen for seen in steps if becomes_steady(seen, batch, growth)]
    expected = [seen for seen in steps if seen >= fade][:1] if fade else []
    assert entries == expected


def test_ticks_end_at_multiples_and_at_the_end() -> None:
    tick = TickSpec(images=100, samples_every=1, grid=1)
    ends = [n for n in range(64, 1537, 64) if ends_tick(n, 64, GROWTH, tick)]
    assert ends == [128, 256, 320, 448, 512, 640, 704, 832, 960, 1024, 1152, 1216, 1344, 1408,
                    1536]  # fmt: skip


def test_half_life_does_not_depend_on_the_batch_size() -> None:
    spec = EmaSpec(half_life_kimg=2)
    assert spec.per_step(16, 0) ** (2000 / 16) == pytest.approx(0.5)
    assert spec.per_step(100, 0) ** 20 == pytest.approx(0.5)


def test_half_life_ramps_up_with_the_images_seen() -> None:
    spec = EmaSpec(half_life_kimg=10, rampup=0.05)
    assert spec.per_step(16, 0) == 0  # the average is the generator
    assert spec.per_step(100, 20_000) ** 10 == pytest.approx(0.5)  # 1,000 images
    assert spec.per_step(100, 10**6) == EmaSpec(half_life_kimg=10).per_step(100, 0)


def test_ramp_of_a_fixed_decay_is_refused() -> None:
    with pytest.raises(ValidationError, match="rampup limits half_life_kimg"):
        EmaSpec(decay=0.999, rampup=0.05)


def test_fixed_decay_replaces_the_half_life() -> None:
    assert EmaSpec(decay=0.999).per_step(512, 0) == 0.999
