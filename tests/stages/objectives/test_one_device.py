"""A step computes where its networks are, whatever its objective: nothing is left on the host.

What stands for a GPU is torch's meta device, which computes shapes alone; what is not on it is on
the wrong one.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cases import AUGMENT, AUGMENTED, CASES, ENCODER, SHAPE, Case
from progan.datasets.reals import Reals
from progan.datasets.synthetic import SHAPES
from progan.stages.distributed.scalars import AsyncScalars, stack_scalars
from progan.stages.distributed.world import World
from progan.stages.engine.optimizers import Moments
from progan.stages.engine.update import Objective, StepId, Update
from progan.stages.networks.encoder import generator_module
from progan.stages.objectives.augment.adaptation import adaptations
from progan.stages.objectives.augment.augmentation import make_augmentation
from progan.stages.objectives.objective import make_terms
from progan.stages.objectives.replay_buffer import make_replay
from progan.stages.rng import RngStreams
from progan.stages.specs.stage import EngineSpec, GrowthSpec, StageSpec
from progan.stages.training.loop import step
from progan.stages.training.networks import Networks
from progan.stages.training.stage import Stage
from workers import spec

META = torch.device("meta")
BOTH = ["generator", "discriminator"]
ATTENTION = {"attention": (8, 16)}
LABELS = {"classes": len(SHAPES)}
MORE: dict[str, Case] = {
    "normalised": (
        {"loss": "hinge", "penalties": [{"kind": "spectral_norm", "networks": BOTH}]},
        LABELS | {"generator": ATTENTION, "discriminator": ATTENTION | {"head": "projection"}},
    ),
    "clipped": (
        {
            "penalties": [{"kind": "weight_clip", "bound": 0.1}],
            "critics": "hardest",
            "critic_steps": 2,
        },
        {"discriminator": {"critics": 2}, "generator": {"norm": "batch", "norm_group": 2}},
    ),
    "acgan": ({"loss": "wgan"}, LABELS | {"discriminator": {"head": "acgan"}}),
    "infogan": (
        {"loss": "wgan"},
        {
            "generator": {"codes": {"categorical": [4], "continuous": 2}},
            "discriminator": {"head": "infogan"},
        },
    ),
    "virtual batch": (
        {"loss": "lsgan"},
        {"generator": {"norm": "virtual_batch"}, "discriminator": {"norm": "layer"}},
    ),
    "discrimination": ({"loss": "wgan"}, {"discriminator": {"minibatch": "discrimination"}}),
    "representative": ({"loss": "wgan"}, {"discriminator": {"representative": ENCODER}}),
    "replay": ({"loss": "wgan", "replay": {"size": 64}}, {}),
    "unrolled": ({"loss": "minimax", "unrolled": 2}, {}),
}


class OneDevice(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lets no operation but a copy have tensors of two devices; single numbers may be anywhere."""

    COPIES = torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        tensors = [t for t in tree_leaves((arguments, keywords)) if isinstance(t, Tensor)]
        devices = {tensor.device for tensor in tensors if tensor.dim()}
        assert function in self.COPIES or len(devices) < 2, f"{function} on {devices}"
        return function(*arguments, **(keywords or {}))


class Engine:
    """Passes gradients back; moves nothing, as there is nothing to be moved."""

    loss_factor = 1.0

    def __init__(self, name: str, module: nn.Module, stage: StageSpec, world: World) -> None:
        self.name, self.module, self.spec, self.world = name, module, stage, world

    def update(
        self, objectives: Iterable[Objective], step_id: StepId, piggybacked: object = None
    ) -> Update:
        for objective in objectives:
            torch.autograd.backward(objective.loss)
        values = stack_scalars(objective.scalars)
        assert values.device == META
        return Update(
            self.name, step_id, self.world, AsyncScalars(objective.scalars, values), {}, None, False
        )

    def flat_moments(self) -> Moments:
        weights = nn.utils.parameters_to_vector(self.module.parameters())
        names = self.spec.optimizer.moments
        return Moments(torch.ones(()), {name: torch.zeros_like(weights) for name in names})

    def clip(self, bounds: dict[str, float]) -> None:
        assert bounds.keys() == dict(self.module.named_parameters()).keys()


class Batches(Iterator[Reals]):
    """As the loader gives them: pixels and flips on the device, labels on the host."""

    def __next__(self) -> Reals:
        pixels = torch.zeros(16, 3, 16, 16, dtype=torch.uint8, device=META)
        flips = torch.zeros(16, dtype=torch.bool, device=META)
        return Reals(pixels, flips, torch.zeros(16, dtype=torch.long), 0)


@pytest.fixture
def autocast_for_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of autocast for the meta device is asked for the CPU."""
    for name in ("autocast", "is_autocast_enabled", "get_autocast_dtype"):
        monkeypatch.setattr(torch, name, for_cpu(getattr(torch, name)))


def for_cpu(asked: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, *arguments, **keywords: asked("cpu", *arguments, **keywords)


@pytest.mark.usefixtures("autocast_for_meta")
@pytest.mark.parametrize("case", CASES | AUGMENTED | MORE)
def test_nothing_of_a_step_is_left_on_the_host(
    case: str, shapes: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective, differs = (CASES | AUGMENTED | MORE)[case]
    growth = GrowthSpec(fade_images=64, steady_images=64)
    fields: dict[str, Any] = {
        "objective": objective,
        "model": SHAPE | differs,
        "engine": EngineSpec(),
    }
    fields["augment"] = AUGMENT.get(case)
    chosen = spec(shapes, resolution=16, growth=growth, grown_from=shapes, **fields)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: None)
    stage = on(META, chosen, replace(world, device=META))
    with OneDevice():  # type: ignore[no-untyped-call]
        step(stage, dict)


def on(device: torch.device, spec: StageSpec, world: World) -> Stage:
    """A stage in the middle of its fade, whose networks are on a device."""
    with device:
        drawn = Networks.drawn(spec)
    rng = RngStreams(spec.seed, spec.resolution, spec.batch, 0, 1)
    engine: Any = Engine
    batches: Any = Batches()
    networks: Any = {"generator": drawn.generator, "discriminator": drawn.discriminator}
    augmentation = make_augmentation(spec.augment, device)
    terms = make_terms(spec.objective, networks, device) + adaptations(spec, augmentation)
    return Stage(
        spec=spec,
        world=world,
        generator=drawn.generator,
        discriminator=drawn.discriminator,
        ema=drawn.ema,
        encoder=drawn.encoder,
        generator_engine=engine(
            "generator", generator_module(drawn.generator, drawn.encoder), spec, world
        ),
        discriminator_engine=engine("discriminator", drawn.discriminator, spec, world),
        batches=batches,
        rng=rng,
        images_seen=32,
        position=32,
        terms=terms,
        replay=make_replay(spec, rng, device),
        augmentation=augmentation,
    )
