"""What an update says is read when somebody wants it, and only then has to be finite."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gpu_waits import no_waits
from objective_of import HERE
from progan.stages.distributed.world import World
from progan.stages.engine.engine import Engine
from progan.stages.engine.update import Objective
from progan.stages.errors import NotFiniteError
from progan.stages.specs.losses import Began
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.penalties import Gradient, SpectralNorm, WeightClip
from progan.stages.specs.stage import EngineSpec
from progan.stages.training.loop import step
from progan.stages.training.stage import build
from workers import spec

OBJECTIVES = {
    "paper": ObjectiveSpec(),
    "began": ObjectiveSpec(loss=Began(kind="began"), penalties=()),
    "constraints": ObjectiveSpec(
        penalties=(
            Gradient(kind="gradient", weight=10),
            SpectralNorm(kind="spectral_norm"),
            WeightClip(kind="weight_clip"),
        ),
        critic_steps=2,
    ),
}


class HostReads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts how often a number is asked of a tensor, which on a GPU waits for it."""

    count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize("zero", [0, 1, 2])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_step_asks_nothing_of_the_device(
    objective: str, zero: int, shapes: Path, world: World
) -> None:
    how = EngineSpec.model_validate({"zero": zero, "precision": "bf16"})
    stage = build(spec(shapes, objective=OBJECTIVES[objective], engine=how), world, None, [])
    with stage.batches, HostReads() as reads:  # type: ignore[no-untyped-call]
        report = step(stage, lambda: {"signal": 3.0})
        assert reads.count == 0
    assert report.read()["signal"] == 3


def test_what_is_not_finite_is_named_when_it_is_read(shapes: Path, world: World) -> None:
    module = nn.Linear(1, 1)
    engine = Engine("generator", module, spec(shapes), world)
    loss = module(torch.ones(4, 1)).mean()
    scalars = {"good": torch.ones(()), "bad": torch.tensor(float("inf"))}
    update = engine.update([Objective(loss, scalars)], HERE)
    with pytest.raises(NotFiniteError, match="^8x8 after 0 images: bad is not finite on rank 0$"):
        update.read()


def test_a_gradient_that_is_not_finite_is_named(shapes: Path, world: World) -> None:
    module = nn.Linear(1, 1)
    engine = Engine("generator", module, spec(shapes), world)
    loss = module(torch.ones(4, 1)).mean()
    loss.register_hook(lambda gradient: gradient * float("nan"))
    update = engine.update([Objective(loss, {"loss": loss.detach()})], HERE)
    with pytest.raises(NotFiniteError, match="the generator's gradient is not finite") as caught:
        update.read()
    assert caught.value.end == HERE.end


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_does_not_wait_for_the_gpu(shapes: Path, world: World) -> None:
    stage = build(spec(shapes, engine=EngineSpec(precision="bf16")), world, None, [])
    with stage.batches:
        step(stage, dict)
        with no_waits():
            for _ in range(3):
                step(stage, dict)
