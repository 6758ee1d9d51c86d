"""Critic steps, unrolling and replay on several ranks: after a kill, and through a fade."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from progan.stages.specs.objective import ObjectiveSpec, ReplaySpec
from progan.stages.specs.optimizers import RmsPropSpec, SgdSpec
from progan.stages.specs.stage import CheckpointSpec, EngineSpec, GrowthSpec, StageSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import content, figures, kill, run, spec, start

pytestmark = pytest.mark.slow
RULES = ObjectiveSpec(critic_steps=2, unrolled=2, replay=ReplaySpec(size=48))
"""All of them at once"""


def ruled(dataset: Path, **changes: Any) -> StageSpec:
    fields = {
        "objective": RULES,
        "lr": 0.0005,
        "discriminator_lr": 0.001,
        "growth": GrowthSpec(fade_images=0, steady_images=320),
        "checkpoint": CheckpointSpec(every_minutes=None, every_kimg=0.032),
    }
    return spec(dataset, **(fields | changes))


@pytest.fixture(scope="module")
def on_two(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> StageFolder:
    """The stage on two ranks, not interrupted."""
    return run(ruled(shapes), tmp_path_factory.mktemp("on-two"), ranks=2)


@pytest.mark.parametrize(("ranks", "zero"), [(1, 1), (4, 2), (2, 0)])
def test_ranks_and_sharding_give_the_same_figures(
    on_two: StageFolder, shapes: Path, tmp_path: Path, ranks: int, zero: int
) -> None:
    engine = EngineSpec.model_validate({"zero": zero, "precision": "fp32"})
    other = run(ruled(shapes, engine=engine), tmp_path, ranks)
    expected, found = figures(on_two), figures(other)
    assert len(expected) == len(found) == 10
    # Unrolled steps amplify it when a unit falls on the other side of its leaky ReLU's kink.
    for before, after in zip(expected[:8], found[:8], strict=True):
        assert before.pop("phase") == after.pop("phase")
        assert after == pytest.approx(before, rel=2e-4, abs=2e-5)
        assert (after["lr"], after["discriminator_lr"]) == (0.0005, 0.001)
    past, wanted = (
        load_file(folder.checkpoint(256) / "replay.safetensors")["images"]
        for folder in (other, on_two)
    )
    assert past.shape == (3, 16, 3, 8, 8)
    assert abs(past - wanted).max() < 1e-3


def test_killed_stage_resumes_to_the_same_bytes(
    on_two: StageFolder, shapes: Path, tmp_path: Path
) -> None:
    folder = StageFolder(tmp_path)
    kill(folder, start(ruled(shapes), tmp_path, ranks=2), after=3)
    run(ruled(shapes), tmp_path, ranks=2)
    assert figures(folder) == figures(on_two)
    assert content(folder.final) == content(on_two.final)
    assert content(folder.checkpoint(320)) == content(on_two.checkpoint(320))


@pytest.mark.parametrize(
    "rules",
    [
        {"optimizer": RmsPropSpec(kind="rmsprop"), "lr": 1e-4, "objective": ObjectiveSpec()},
        {"optimizer": SgdSpec(kind="sgd"), "lr": 0.01, "objective": ObjectiveSpec()},
        {"objective": ObjectiveSpec(unrolled=3)},
        {"objective": ObjectiveSpec(replay=ReplaySpec(size=32, share=0.25))},
    ],
    ids=["rmsprop", "sgd", "unrolled", "replay"],
)
def test_bf16_trains_through_a_growth(
    on_two: StageFolder, shapes: Path, tmp_path: Path, rules: dict[str, Any]
) -> None:
    grown = ruled(
        shapes,
        resolution=16,
        grown_from=on_two.final,
        growth=GrowthSpec(fade_images=64, steady_images=64),
        engine=EngineSpec(precision="bf16"),
        **rules,
    )
    folder = run(grown, tmp_path, ranks=2)
    phases = [tick["phase"] for tick in figures(folder)]
    assert phases == ["fading", "steady", "steady", "done"]
    assert (folder.checkpoint(128) / "replay.safetensors").exists() == bool(grown.objective.replay)
