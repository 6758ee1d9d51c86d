"""Losses, penalties and constraints on two ranks: through a fade, a checkpoint and a kill."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cases import AUGMENTED, BOTH, CASES, ENCODER, MIXTURES, SHAPE
from networks import encoder_folder
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.optimizers import AdamSpec, AnyOptimizer, SgdSpec
from progan.stages.specs.stage import CheckpointSpec, EngineSpec, GrowthSpec, MetricsSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import content, figures, kill, results, run, spec, start

pytestmark = pytest.mark.slow
ADAM, SGD = AdamSpec(), SgdSpec(kind="sgd", momentum=0.9)
OFF = MetricsSpec(during=(), at_end=())


def test_every_objective_resumes_exactly_from_a_checkpoint(shapes: Path, tmp_path: Path) -> None:
    """In bf16, with ZeRO 1 and two micro-batches a step, from the middle of a fade."""
    found = results("every_objective.py", shapes, tmp_path, output=tmp_path / "log")
    assert [name for name, _ in found] == [*CASES, *MIXTURES, *AUGMENTED]
    assert len(CASES) == 36 and len(MIXTURES) == 10
    assert [name for name, same in found if not same] == []


@pytest.mark.parametrize(("mixture", "optimizer"), [("encoder", ADAM), ("generators", SGD)])
def test_killed_stage_resumes_to_the_same_bytes(
    mixture: str, optimizer: AnyOptimizer, shapes: Path, tmp_path: Path
) -> None:
    """With an encoder; with a mixture of generators under SGD."""
    objective, model = MIXTURES[mixture]
    stage = spec(
        shapes,
        resolution=16,
        model=ModelSpec.model_validate(SHAPE | model),
        objective=ObjectiveSpec.model_validate(objective),
        optimizer=optimizer,
        metrics=OFF,
        growth=GrowthSpec(fade_images=0, steady_images=256),
        engine=EngineSpec(precision="bf16", zero=1),
        micro_batch=4,
        checkpoint=CheckpointSpec(every_minutes=None, every_kimg=0.032, keep=99),
    )
    uninterrupted = run(stage, tmp_path / "uninterrupted", ranks=2)
    killed = StageFolder(tmp_path / "killed")
    kill(killed, start(stage, killed.path, ranks=2), after=2)
    run(stage, killed.path, ranks=2)
    assert figures(killed) == figures(uninterrupted)
    assert content(killed.final) == content(uninterrupted.final)
    assert content(killed.checkpoint(256)) == content(uninterrupted.checkpoint(256))


def test_killed_stage_resumes_without_the_folder_of_its_encoder(
    shapes: Path, tmp_path: Path
) -> None:
    shape = encoder_folder(tmp_path / "encoder")
    stage = spec(
        shapes,
        model=ModelSpec.model_validate(SHAPE | {"discriminator": {"representative": shape}}),
        representative=tmp_path / "encoder",
        metrics=OFF,
        growth=GrowthSpec(fade_images=0, steady_images=192),
        checkpoint=CheckpointSpec(every_minutes=None, every_kimg=0.032, keep=99),
    )
    uninterrupted = run(stage, tmp_path / "uninterrupted", ranks=2)
    killed = StageFolder(tmp_path / "killed")
    kill(killed, start(stage, killed.path, ranks=2), after=2)
    shutil.rmtree(tmp_path / "encoder")
    run(stage, killed.path, ranks=2)
    assert figures(killed) == figures(uninterrupted)
    assert content(killed.final) == content(uninterrupted.final)


def test_two_ranks_give_the_figures_of_one(shapes: Path, tmp_path: Path) -> None:
    everything = ObjectiveSpec.model_validate(
        {
            "loss": {"kind": "began", "lambda_k": 0.1},
            "penalties": [
                {"kind": "spectral_norm", "networks": BOTH},
                {"kind": "dragan", "weight": 1},
                {"kind": "orthogonal", "weight": 0.001, "networks": BOTH},
                {"kind": "historical_average", "weight": 1, "networks": BOTH},
                {"kind": "feature_matching", "weight": 1},
                {"kind": "mode_regularizer", "interval": 2},
                {"kind": "consensus", "weight": 1},
                {"kind": "gradient_norm", "weight": 1},
            ],
        }
    )
    short = spec(
        shapes,
        model=ModelSpec.model_validate(SHAPE | {"discriminator": {"representative": ENCODER}}),
        objective=everything,
        growth=GrowthSpec(fade_images=0, steady_images=96),
        metrics=OFF,
        lr=1e-4,
    )
    one, two = (figures(run(short, tmp_path / str(ranks), ranks)) for ranks in (1, 2))
    assert len(one) == len(two) == 3
    for alone, shared in zip(one, two, strict=True):
        assert alone.pop("phase") == shared.pop("phase")
        assert shared == pytest.approx(alone, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("optimizer", [ADAM, SGD], ids=["adam", "sgd"])
def test_two_ranks_draw_the_same_generators_as_one(
    optimizer: AnyOptimizer, shapes: Path, tmp_path: Path
) -> None:
    objective, model = MIXTURES["generators"]
    short = spec(
        shapes,
        model=ModelSpec.model_validate(SHAPE | model),
        objective=ObjectiveSpec.model_validate(objective),
        optimizer=optimizer,
        growth=GrowthSpec(fade_images=0, steady_images=96),
        metrics=OFF,
        lr=1e-4,
    )
    one, two = (figures(run(short, tmp_path / str(ranks), ranks)) for ranks in (1, 2))
    assert len(one) == len(two) == 3
    for alone, shared in zip(one, two, strict=True):
        assert alone.pop("phase") == shared.pop("phase")
        assert alone["generator_generator_index_loss"] > 0.5
        assert shared == pytest.approx(alone, rel=1e-3, abs=1e-6)


def test_two_ranks_train_stacked_resolutions_as_one_does(shapes: Path, tmp_path: Path) -> None:
    short = GrowthSpec(fade_images=0, steady_images=32)
    before = run(spec(shapes, growth=short, metrics=OFF), tmp_path / "before", ranks=1)

    def trained(ranks: int, zero: int) -> list[dict[str, Any]]:
        grown = spec(
            shapes,
            resolution=16,
            grown_from=before.final,
            growth=GrowthSpec(mode="stacked", fade_images=64, steady_images=64),
            engine={"zero": zero, "precision": "fp32"},
            metrics=OFF,
            lr=1e-4,
        )
        return figures(run(grown, tmp_path / f"{ranks}-{zero}", ranks))

    alone = trained(ranks=1, zero=0)
    phases = [tick.pop("phase") for tick in alone]
    assert phases == ["separate", "joint", "joint", "done"]
    for zero in (0, 1, 2):
        shared = trained(ranks=2, zero=zero)
        assert [tick.pop("phase") for tick in shared] == phases
        for one, two in zip(alone, shared, strict=True):
            assert two == pytest.approx(one, rel=1e-3, abs=1e-5)


def test_clipped_weights_agree_with_torch_for_every_sharding(shapes: Path, tmp_path: Path) -> None:
    found = results("clipped_weights.py", shapes, output=tmp_path / "log")
    assert sorted(zero for zero, _ in found) == [0, 0, 1, 1, 2, 2]
    assert max(distance for _, distance in found) < 1e-5
