"""Stacked growth: what the generator had stays as it came, to the bit, until all is trained."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from progan.stages.distributed.world import World
from progan.stages.engine.update import StepReport
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.optimizers import AdamSpec, RmsPropSpec, SgdSpec
from progan.stages.specs.stage import EngineSpec, GrowthSpec, StageSpec
from progan.stages.storage import handoff
from progan.stages.storage.checkpoint import Checkpoint
from progan.stages.storage.final import Final
from progan.stages.training.loop import train
from progan.stages.training.stage import Stage, build
from workers import spec

MODEL = ModelSpec(latent=16, fmap_base=64, fmap_max=16)
BATCH, SEPARATE = 16, 48
BORDER = SEPARATE  # images seen when the first joint step begins
NORMALISED = ObjectiveSpec.model_validate(
    {
        "loss": "hinge",
        "penalties": [
            {"kind": "spectral_norm", "networks": ["generator", "discriminator"]},
            {"kind": "orthogonal", "weight": 0.01, "networks": ["generator"]},
            {"kind": "historical_average", "weight": 0.1, "networks": ["generator"]},
        ],
    }
)


@pytest.fixture(autouse=True)
def sharded_over_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One rank alone is spared the sharding that is to be tested here."""
    monkeypatch.setattr(EngineSpec, "sharding", lambda spec, ranks: spec.zero)


@pytest.fixture(scope="module")
def grown_from(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `final` folder of a stage at 8x8."""
    torch.manual_seed(0)
    networks = {
        "generator": Generator(MODEL, 8),
        "discriminator": Discriminator(MODEL, 8),
        "ema": Generator(MODEL, 8),
    }
    folder = tmp_path_factory.mktemp("0008") / "final"
    final = Final(resolution=8, images_seen=0, model=MODEL, seed=1, data_fingerprint="")
    handoff.publish(folder, final, networks)
    return folder


def stacked(shapes: Path, grown_from: Path, **changes: Any) -> StageSpec:
    growth = GrowthSpec(mode="stacked", fade_images=SEPARATE, steady_images=2 * BATCH)
    fields = {"resolution": 16, "grown_from": grown_from, "growth": growth, "model": MODEL}
    return spec(shapes, **(fields | changes))


class Until:
    """A recorder that lets a stage train so far, and keeps nothing."""

    def __init__(self, images_seen: int) -> None:
        self.images_seen = images_seen

    def local_metrics(self) -> dict[str, float]:
        return {}

    def after_step(self, stage: Stage, report: StepReport) -> bool:
        assert all(math.isfinite(value) for value in report.read().values())
        return stage.images_seen < self.images_seen


def trained(
    spec: StageSpec, world: World, until: int, checkpoint: Checkpoint | None = None
) -> Checkpoint:
    """The stage's state after so many images."""
    stage = build(spec, world, checkpoint, [])
    with stage.batches:
        if until > stage.images_seen:
            train(stage, Until(until))
        assert all(p.requires_grad for p in stage.generator.parameters())
    return stage.checkpoint({})


def older(tensors: dict[str, Tensor]) -> set[str]:
    return {name for name in tensors if ".16." not in name}


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


CASES = {
    "zero 0": {"engine": {"zero": 0, "precision": "fp32"}},
    "zero 1": {"engine": {"zero": 1, "precision": "fp32"}},
    "normalised": {"objective": NORMALISED, "engine": {"zero": 1, "precision": "bf16"}},
}
MORE_CASES = {
    "zero 2": {"engine": {"zero": 2, "precision": "fp32"}},
    "unrolled": {"objective": ObjectiveSpec(unrolled=1)},
    "rmsprop": {"optimizer": RmsPropSpec(kind="rmsprop"), "micro_batch": 8},
    "sgd": {"optimizer": SgdSpec(kind="sgd", momentum=0.9), "lr": 0.1},
    "recomputed": {"engine": {"precision": "fp32", "activation_checkpointing": 4}},
    "fp16": {"engine": {"zero": 2, "precision": "fp16"}, "optimizer": AdamSpec(beta1=0.5)},
}


@pytest.mark.parametrize(
    "changes",
    [
        *(pytest.param(changes, id=name) for name, changes in CASES.items()),
        *(
            pytest.param(changes, id=name, marks=pytest.mark.slow)
            for name, changes in MORE_CASES.items()
        ),
    ],
)
def test_older_layers_keep_every_bit_until_the_joint_phase(
    changes: dict[str, Any], shapes: Path, grown_from: Path, world: World
) -> None:
    spec = stacked(shapes, grown_from, **changes)
    begins = trained(spec, world, 0).tensors
    border = trained(spec, world, BORDER)
    moved_apart = moved(begins["generator"], border.tensors["generator"])
    kept = older(begins["generator"])
    assert moved_apart and not moved_apart & kept
    # The discriminator is trained whole, but for the previous resolution's fromRGB: it is unused.
    weights = {name for name in begins["discriminator"] if name.endswith("weight")}
    now = moved(begins["discriminator"], border.tensors["discriminator"])
    assert weights - {"from_rgb.8.weight"} <= now
    joint = trained(spec, world, BORDER + BATCH, border).tensors
    now = moved(border.tensors["generator"], joint["generator"])
    assert {name for name in kept if name.startswith("blocks.") and "weight" in name} <= now


def test_all_layers_begin_the_joint_phase_with_steps_of_the_same_length(
    shapes: Path, grown_from: Path, world: World
) -> None:
    spec = stacked(shapes, grown_from)
    border = trained(spec, world, BORDER)
    joint = trained(spec, world, BORDER + BATCH, border)
    before, after = border.tensors["generator"], joint.tensors["generator"]
    for name in before:
        if not name.startswith("to_rgb.8."):
            longest = (after[name] - before[name]).abs().max()
            assert float(longest) == pytest.approx(spec.lr, rel=1e-3)  # Adam's first step


def test_the_average_follows_new_layers_and_settles_on_the_kept_ones(
    shapes: Path, grown_from: Path, world: World
) -> None:
    spec = stacked(shapes, grown_from)
    begins, border = (trained(spec, world, until).tensors for until in (0, BORDER))
    share = spec.ema.per_step(BATCH, 0) ** (SEPARATE // BATCH)
    for name in older(begins["generator"]):
        expected = torch.lerp(begins["generator"][name], begins["ema"][name], share)
        torch.testing.assert_close(border["ema"][name], expected)


@pytest.mark.parametrize(("zero", "broken_at"), [(0, BATCH), (1, BATCH), (1, BORDER)])
def test_a_stage_taken_up_again_ends_with_the_same_bytes(
    zero: int, broken_at: int, shapes: Path, grown_from: Path, world: World
) -> None:
    engine = {"zero": zero, "precision": "fp32"}
    spec = stacked(shapes, grown_from, engine=engine, optimizer=AdamSpec(beta1=0.5))
    unbroken = trained(spec, world, SEPARATE + 2 * BATCH)
    broken = trained(spec, world, broken_at)
    ends = trained(spec, world, SEPARATE + 2 * BATCH, broken)
    for file, tensors in unbroken.tensors.items():
        assert not moved(tensors, ends.tensors[file])


def test_without_a_fade_everything_is_trained_at_once(
    shapes: Path, grown_from: Path, world: World
) -> None:
    growth = GrowthSpec(mode="none", fade_images=0, steady_images=SEPARATE)
    spec = stacked(shapes, grown_from, growth=growth)
    begins, after = (trained(spec, world, until).tensors for until in (0, BATCH))
    now = moved(begins["generator"], after["generator"])
    assert now == {name for name in begins["generator"] if not name.startswith("to_rgb.8.")}
