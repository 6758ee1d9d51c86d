"""Many steps on any number of ranks, in any micro-batches, are the same steps.

In float32 sums depend on their order, which ranks and micro-batches change. The loss of a GAN is
piecewise: a unit within rounding of its leaky ReLU's kink may fall on the other side, and its
gradient changes fivefold. Until that happens the figures agree to rounding (1e-6, asserted for 20
steps); afterwards to what single units change (1e-2 in figures of about 1, 1e-3 in weights of about
1, asserted for all steps). The learning rate is small, because at 0.002 any difference of rounding
grows to the size of the figures within 60 steps: the training of a GAN is chaotic.
"""

import os
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from progan.stages.specs.stage import CheckpointSpec, EngineSpec, GrowthSpec, StageSpec, TickSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import figures, kill, run, spec, start

pytestmark = pytest.mark.slow
STEPS = int(os.environ.get("PROGAN_LONG_STEPS", "60"))
"""`make soak` takes 200"""
CHECKPOINT_STEPS = STEPS // 6


def long(dataset: Path, zero: int = 1, micro_batch: int | None = None) -> StageSpec:
    return spec(
        dataset,
        seed=23,  # no unit comes that near to its kink in the first 20 steps
        lr=1e-4,
        micro_batch=micro_batch,
        growth=GrowthSpec(fade_images=0, steady_images=16 * STEPS),
        engine=EngineSpec(zero=zero, precision="fp32"),
        checkpoint=CheckpointSpec(every_minutes=None, every_kimg=0.016 * CHECKPOINT_STEPS, keep=9),
        tick=TickSpec(images=160, samples_every=100, grid=2),
    )


@pytest.fixture(scope="module")
def on_two(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> StageFolder:
    """The stage on two ranks."""
    return run(long(shapes), tmp_path_factory.mktemp("on-two"), ranks=2)


def assert_same_curve(found: StageFolder, expected: StageFolder) -> None:
    ticks = list(zip(figures(found), figures(expected), strict=True))
    assert len(ticks) == STEPS * 16 // 160
    for number, (tick, wanted) in enumerate(ticks):
        assert tick.pop("phase") == wanted.pop("phase")
        assert tick == pytest.approx(wanted, abs=1e-6 if number < 2 else 1e-2, rel=1e-6)
    for name in ("generator", "discriminator", "ema"):
        weights, wanted_weights = (
            load_file(folder.final / f"{name}.safetensors") for folder in (found, expected)
        )
        for key, value in weights.items():
            assert abs(value - wanted_weights[key]).max() < 1e-3  # of N(0, 1) weights


@pytest.mark.parametrize(
    ("ranks", "zero", "micro_batch"),
    [(1, 1, None), (1, 1, 8), (1, 1, 4), (4, 1, None), (2, 0, None)],
)
def test_ranks_micro_batches_and_sharding_give_the_same_curve(
    on_two: StageFolder,
    shapes: Path,
    tmp_path: Path,
    ranks: int,
    zero: int,
    micro_batch: int | None,
) -> None:
    assert_same_curve(run(long(shapes, zero, micro_batch), tmp_path, ranks), on_two)


def test_stage_moves_from_two_ranks_to_one_and_to_four(
    on_two: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    folder = StageFolder(tmp_path)
    for taken, ranks in enumerate((2, 1), start=1):
        kill(folder, start(long(shapes), tmp_path, ranks), after=taken)
    assert_same_curve(run(long(shapes), tmp_path, ranks=4), on_two)
