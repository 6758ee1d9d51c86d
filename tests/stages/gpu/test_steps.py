"""A step of all that a configuration can ask for: it runs, and the host waits for nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cases import AUGMENT, AUGMENTED, CASES, MIXTURES, MODELS, SHAPE, Case
from gpu_waits import no_waits
from progan.stages.distributed.world import World
from progan.stages.engine.numerics import set_numerics
from progan.stages.specs.stage import EngineSpec, GrowthSpec, StageSpec
from progan.stages.storage import handoff
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage, build
from workers import spec

pytestmark = pytest.mark.gpu

PRECISIONS = ("fp32", "bf16", "fp16")
ENGINES: dict[str, dict[str, Any]] = {
    "recomputed": {"engine": {"activation_checkpointing": 4}},
    "micro-batches": {"micro_batch": 4},
    "rmsprop": {"optimizer": {"kind": "rmsprop"}},
    "sgd": {"optimizer": {"kind": "sgd"}},
    "stacked": {"growth": GrowthSpec(mode="stacked", fade_images=64, steady_images=64)},
}
"""Other fields of a stage, with the paper's objective"""
ALL: dict[str, Case] = CASES | MIXTURES | MODELS | AUGMENTED
QUICK = ("paper", "norm layer", "attention", "codes", "normalised", "unrolled", "ada")


def begin(case: Case, shapes: Path, folder: Path, world: World, **fields: Any) -> Stage:
    """A stage at 16x16, in the middle of its fade if it has one."""
    objective, model = case
    fields |= {"model": SHAPE | model, "objective": objective, "lr": 0.0005}
    grows = model.get("arch") != "dcgan"
    if grows:
        before = build(spec(shapes, **fields), world, None, [])
        before.batches.close()
        handoff.publish(folder / "final", before.final(), before.networks())
    growth = GrowthSpec(fade_images=64 if grows else 0, steady_images=64)
    chosen: StageSpec = spec(
        shapes,
        **{"growth": growth} | fields,
        resolution=16,
        grown_from=folder / "final" if grows else None,
    )
    stage = build(chosen, world, None, [])
    stage.images_seen = chosen.growth.fade_images // 2
    return stage


def take_step(stage: Stage) -> None:
    """A step, whose values nobody reads."""
    step(stage, dict)
    stage.position += stage.spec.images_per_step


def check(stage: Stage) -> None:
    """Steps in the fade and after it, without waiting once warm, and a checkpoint."""
    with stage.batches:
        take_step(stage)
        take_step(stage)
        if stage.spec.engine.precision == "fp16":  # which has to know whether a step overflowed
            take_step(stage)
        else:
            with no_waits():
                take_step(stage)
        stage.images_seen = stage.spec.growth.fade_images
        take_step(stage)
        assert "generator" in stage.checkpoint({}).tensors


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in ALL],
)
def test_every_piece_takes_steps(
    name: str, precision: str, shapes: Path, tmp_path: Path, world: World
) -> None:
    engine = EngineSpec.model_validate({"precision": precision})
    augment = AUGMENT.get(name)
    check(begin(ALL[name], shapes, tmp_path, world, engine=engine, augment=augment))


@pytest.fixture
def deterministic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch's switches as engine.deterministic sets them, and back."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    set_numerics(EngineSpec(deterministic=True))
    yield
    set_numerics(EngineSpec())
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False


@pytest.mark.slow
@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("name", ALL)
def test_every_piece_has_deterministic_algorithms(
    name: str, shapes: Path, tmp_path: Path, world: World
) -> None:
    """torch refuses operations that have none."""
    engine = EngineSpec(precision="bf16")
    augment = (AUGMENT | {"ada": AUGMENT["ada"] | {"pipe": "bc"}}).get(name)
    check(begin(ALL[name], shapes, tmp_path, world, engine=engine, augment=augment))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ENGINES)
def test_every_way_of_stepping_takes_steps(
    name: str, precision: str, shapes: Path, tmp_path: Path, world: World
) -> None:
    fields = ENGINES[name] | {}
    fields["engine"] = EngineSpec.model_validate(
        fields.get("engine", {}) | {"precision": precision}
    )
    check(begin(MODELS["paper"], shapes, tmp_path, world, **fields))
