"""A stage goes on from its checkpoint with another length, or with another computation."""

from pathlib import Path

import pytest

from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.stage import CheckpointSpec, EngineSpec, GrowthSpec, StageSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import content, figures, run, spec


def stage(dataset: Path, images: int, **changes: object) -> StageSpec:
    growth = GrowthSpec(mode="none", fade_images=0, steady_images=images)
    at_160 = CheckpointSpec(every_minutes=None, every_kimg=0.16)
    return spec(dataset, growth=growth, checkpoint=at_160, **changes)


@pytest.fixture
def short(shapes: Path, tmp_path: Path) -> StageFolder:
    """A stage of 160 images that has ended and was opened again."""
    folder = run(stage(shapes, 160), tmp_path / "stages" / "0008", ranks=1)
    folder.final.rename(tmp_path / "superseded")
    return folder


def test_longer_stage_ends_with_the_bytes_of_one_that_was_long_from_the_start(
    short: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    long = run(stage(shapes, 320), tmp_path / "long" / "0008", ranks=1)
    run(stage(shapes, 320), short.path, ranks=1)
    ended = 160 // 32 - 1  # this tick keeps what was measured when the stage had ended
    after, expected = figures(short), figures(long)
    assert after[ended]["phase"] == "done" and len(after) == len(expected)
    assert after[:ended] + after[ended + 1 :] == expected[:ended] + expected[ended + 1 :]
    assert content(short.final) == content(long.final)


def test_stage_goes_on_with_other_terms_rates_batch_and_precision(
    short: StageFolder, shapes: Path
) -> None:
    before = figures(short)
    penalties = [
        {"kind": "r1", "weight": 1.0},
        {"kind": "historical_average", "weight": 0.01, "networks": ["generator"]},
    ]
    changed = stage(
        shapes,
        320,
        lr=0.0005,
        batch=32,
        micro_batch=8,
        objective=ObjectiveSpec.model_validate(
            {"loss": {"kind": "nonsaturating"}, "penalties": penalties}
        ),
        augment={"kind": "ada"},
        engine=EngineSpec(precision="fp16"),
    )
    run(changed, short.path, ranks=1)
    after = figures(short)
    assert after[: len(before)] == before
    assert [tick["lr"] for tick in after[len(before) :]] == [0.0005] * 5
    assert {"r1_penalty", "augment_p"} <= after[-1].keys()
