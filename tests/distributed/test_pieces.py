"""Penalties, constraints and what objectives remember, on two ranks, through a fade and a kill."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from progan.datasets.synthetic import SHAPES
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.stage import CheckpointSpec, EngineSpec, GrowthSpec, MetricsSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import BIN, checkpoints, content, figures, kill, run, spec, start

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parents[1] / "helpers" / "clipped_weights.py"
OFF = MetricsSpec(during=(), at_end=())
BOTH = ["generator", "discriminator"]
SHAPE = {"latent": 16, "fmap_base": 64, "fmap_max": 16}
ATTENTIVE = {"attention": (8, 16)}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "normalised": (
        {
            "loss": "hinge",
            "penalties": [
                {"kind": "spectral_norm", "networks": BOTH},
                {"kind": "dragan", "weight": 10, "interval": 2},
                {"kind": "orthogonal", "weight": 0.001, "networks": BOTH},
            ],
        },
        {
            "classes": len(SHAPES),
            "generator": ATTENTIVE,
            "discriminator": ATTENTIVE | {"head": "projection", "minibatch": "none"},
        },
    ),
    "clipped": (
        {
            "penalties": [
                {"kind": "weight_clip", "bound": 0.1},
                {"kind": "historical_average", "weight": 0.01, "networks": BOTH},
                {"kind": "feature_matching", "weight": 1},
            ],
            "critics": "hardest",
            "critic_steps": 2,
        },
        {"discriminator": {"critics": 2}, "generator": {"norm": "batch", "norm_group": 2}},
    ),
    "encoder": (
        {
            "loss": {"kind": "rgan", "base": "nonsaturating"},
            "penalties": [
                {"kind": "mode_regularizer", "interval": 2},
                {"kind": "mode_regularizer", "distance": "features"},
                {"kind": "spectral_norm", "networks": BOTH},
            ],
            "critics": "hardest",
            "critic_steps": 2,
        },
        {
            "classes": len(SHAPES),
            "discriminator": {"critics": 2, "head": "projection", "attention": (8,)},
        },
    ),
    "consensus": (
        {"loss": "nonsaturating", "penalties": [{"kind": "consensus", "weight": 0.1}]},
        {"classes": len(SHAPES), "discriminator": {"head": "acgan"}},
    ),
    "stacked": (
        {
            "loss": "hinge",
            "penalties": [
                {"kind": "spectral_norm", "networks": BOTH},
                {"kind": "orthogonal", "weight": 0.001, "networks": BOTH},
            ],
        },
        {},
    ),
    "began": (
        {
            "loss": {"kind": "began", "lambda_k": 0.1},
            "penalties": [{"kind": "pulling_away", "weight": 0.1}],
        },
        {"discriminator": {"head": "autoencoder", "minibatch": "none"}},
    ),
    "codes": (
        {"loss": {"kind": "ragan"}, "penalties": [{"kind": "r1", "weight": 1}]},
        {
            "generator": {
                "codes": {"categorical": (3,), "continuous": 1},
                "norm": "virtual_batch",
            },
            "discriminator": {
                "head": "infogan",
                "minibatch": "discrimination",
                "norm": "layer",
            },
        },
    ),
    "dcgan": (
        {"loss": "nonsaturating", "penalties": []},
        {
            "arch": "dcgan",
            "generator": {"norm": "batch", "norm_group": 4, "reference": 8},
            "discriminator": {"norm": "batch", "norm_group": 4, "minibatch": "none"},
        },
    ),
}
"""What `objective` says, and how `model` differs"""


@pytest.mark.parametrize("case", CASES)
def test_it_grows_in_bf16_and_a_kill_changes_no_byte(
    shapes: Path, tmp_path: Path, case: str
) -> None:
    objective, differs = CASES[case]
    same = {
        "model": ModelSpec.model_validate(SHAPE | differs),
        "objective": ObjectiveSpec.model_validate(objective),
        "metrics": OFF,
    }
    grows = differs.get("arch") != "dcgan"
    if grows:
        short = GrowthSpec(fade_images=0, steady_images=32)
        before = run(spec(shapes, growth=short, **same), tmp_path / "before", ranks=2)
    grown = spec(
        shapes,
        **same,
        resolution=16,
        grown_from=before.final if grows else None,
        growth=GrowthSpec(
            mode="stacked" if case == "stacked" else "fade",
            fade_images=96 if grows else 0,
            steady_images=160,
        ),
        engine=EngineSpec(precision="bf16", zero=1),
        micro_batch=4,
        checkpoint=CheckpointSpec(every_minutes=None, every_kimg=0.032, keep=99),
    )
    unbroken = run(grown, tmp_path / "unbroken", ranks=2)
    killed = StageFolder(tmp_path / "killed")
    kill(killed, start(grown, killed.path, ranks=2), after=2)
    run(grown, killed.path, ranks=2)
    assert figures(killed) == figures(unbroken)
    assert content(killed.final) == content(unbroken.final)
    last = max(checkpoints(unbroken))
    assert last in checkpoints(killed)
    assert content(killed.checkpoint(last)) == content(unbroken.checkpoint(last))


def test_the_number_of_ranks_is_not_part_of_it(shapes: Path, tmp_path: Path) -> None:
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
            ],
        }
    )
    short = spec(
        shapes,
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


def test_nor_is_it_of_stacked_training(shapes: Path, tmp_path: Path) -> None:
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


def test_clipped_weights_are_clipped_whoever_steps_on_them(shapes: Path) -> None:
    argv = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node=2", str(SCRIPT), str(shapes)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    said = [line.partition("distance ")[2] for line in result.stdout.splitlines()]
    found = [line.split() for line in said if line]
    assert sorted(zero for zero, _ in found) == ["0", "0", "1", "1", "2", "2"]
    assert max(float(distance) for _, distance in found) < 1e-5
