"""ADA and held-out pictures on several ranks: the same figures on any number, and after a kill."""

from pathlib import Path
from typing import Any

import pytest

from progan.stages.metrics.holdout import NAMES
from progan.stages.specs.stage import CheckpointSpec, GrowthSpec, StageSpec
from progan.stages.storage.final import read_final
from progan.stages.storage.stage_folder import StageFolder
from workers import content, figures, kill, run, spec, start

pytestmark = pytest.mark.slow


def augmented(dataset: Path, **changes: Any) -> StageSpec:
    """All logits are above the middle of the targets, so that p rises to a half."""
    fields = {
        "objective": {
            "loss": {"kind": "lsgan", "a": -5.0},
            "penalties": [{"kind": "r1", "weight": 0.1, "interval": 2}],
        },
        "augment": {"kind": "ada", "kimg": 0.512, "interval": 2},
        "metrics": {"during": (), "at_end": (), "holdout": 0.2},
        "lr": 0.0005,
        "growth": GrowthSpec(fade_images=0, steady_images=256),
        "checkpoint": CheckpointSpec(every_minutes=None, every_kimg=0.032),
    }
    return spec(dataset, **(fields | changes))


@pytest.fixture(scope="module")
def on_two(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> StageFolder:
    """The stage on two ranks, not interrupted."""
    return run(augmented(shapes), tmp_path_factory.mktemp("on-two"), ranks=2)


def test_p_moves_and_held_out_logits_are_in_every_tick(on_two: StageFolder) -> None:
    ticks = figures(on_two)
    assert len(ticks) == 8 and all(name in tick for tick in ticks for name in NAMES)
    assert [tick["augment_p"] for tick in ticks] == [each / 16 for each in range(8)]
    assert read_final(on_two.final).augment_p == 0.5


@pytest.mark.parametrize("ranks", [1, 4])
def test_ranks_give_the_same_figures(
    on_two: StageFolder, shapes: Path, tmp_path: Path, ranks: int
) -> None:
    expected, found = figures(on_two), figures(run(augmented(shapes), tmp_path, ranks))
    for before, after in zip(expected, found, strict=True):
        assert before.pop("phase") == after.pop("phase")
        assert after["augment_p"] == before["augment_p"]
        assert after == pytest.approx(before, rel=1e-3, abs=2e-4)


def test_killed_stage_resumes_to_the_same_bytes(
    on_two: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    folder = StageFolder(tmp_path)
    kill(folder, start(augmented(shapes), tmp_path, ranks=2), after=3)
    run(augmented(shapes), tmp_path, ranks=2)
    assert figures(folder) == figures(on_two)
    assert content(folder.final) == content(on_two.final)
    assert content(folder.checkpoint(256)) == content(on_two.checkpoint(256))
