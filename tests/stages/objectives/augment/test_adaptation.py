"""p follows the sign of D(real), and is handed on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from progan.stages.distributed.world import World
from progan.stages.objectives.augment.adaptation import AdaptAugmentation
from progan.stages.specs.augment import AdaSpec, undecided
from progan.stages.specs.losses import AnyLoss, FGan, Hinge, Lsgan, Wgan
from progan.stages.specs.stage import GrowthSpec, StageSpec
from progan.stages.storage import handoff
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage, build
from workers import spec

SPEC = AdaSpec(kind="ada", target=0.6, kimg=1, interval=4)


def term(border: float = 0.0) -> AdaptAugmentation:
    return AdaptAugmentation(SPEC, torch.zeros((), dtype=torch.float64), border, images_per_step=16)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def test_p_moves_every_fourth_step_by_the_images_since_and_stays_from_0_to_1() -> None:
    found, change = term(), 16 * 4 / 1000
    signs = [1.0, 1.0, 0.2, 0.3, *[0.5] * 4, *[0.9] * 80, *[0.1] * 80]  # means .625, .5, .9, .1
    seen: list[float] = []
    for sign in signs:
        assert found.after_step({"real_sign": number(sign)})["augment_p"] == (seen or [0.0])[-1]
        seen.append(float(found.p))
    assert seen[:3] == [0, 0, 0] and seen[3:7] == pytest.approx([change] * 4)
    assert seen[7] == pytest.approx(0) and seen[11] == pytest.approx(change)
    assert max(seen) == 1 and seen[87] == 1 and seen[-1] == 0


def test_the_sign_is_that_of_the_distance_to_where_the_discriminator_is_undecided() -> None:
    p: Any = SimpleNamespace(real_logits=torch.tensor([-1.0, 0.4, 0.5, 2.0]))
    (signs,) = term(border=0.5).discriminator(p).values()
    assert signs.tolist() == [-1, -1, 0, 1] and term().weight == 0


@pytest.mark.parametrize(
    ("loss", "border"),
    [
        (Hinge(kind="hinge"), 0),
        (Lsgan(kind="lsgan", a=-1, b=2), 0.5),
        (FGan(kind="fgan", divergence="kl"), 1),
        (FGan(kind="fgan", divergence="pearson"), 0),
        (Wgan(), None),
    ],
)
def test_losses_say_where_they_are_undecided(loss: AnyLoss, border: float | None) -> None:
    assert undecided(loss) == border


def stage_of(shapes: Path, world: World, **changes: Any) -> Stage:
    objective = {"loss": "nonsaturating", "penalties": []}
    fields = {"objective": objective, "augment": SPEC, "batch": 16}
    chosen: StageSpec = spec(shapes, **(fields | changes))
    return build(chosen, world, None, [])


def test_p_goes_on_at_the_next_resolution(shapes: Path, world: World, tmp_path: Path) -> None:
    first = stage_of(shapes, world)
    assert first.augmentation is not None
    first.augmentation.begin_with(0.375)
    handoff.publish(tmp_path / "final", first.final(), first.networks())
    first.batches.close()
    growth = GrowthSpec(fade_images=64, steady_images=64)
    grown = {"resolution": 16, "grown_from": tmp_path / "final", "growth": growth}
    second, plain = (
        stage_of(shapes, world, **grown, augment=augment) for augment in (SPEC, "diffaugment")
    )
    assert second.augmentation is not None and second.augmentation.p == 0.375
    assert plain.final().augment_p is None
    with second.batches, plain.batches:
        logged = step(second, dict).read()
    assert logged["augment_p"] == 0.375 and -1 <= logged["real_sign"] <= 1


def test_a_checkpoint_holds_p_and_what_it_is_adapted_by(shapes: Path, world: World) -> None:
    stage = stage_of(shapes, world)
    with stage.batches:
        for _ in range(5):
            step(stage, dict)
            stage.images_seen += 16
            stage.position += 16
        kept = stage.checkpoint({})
    again = build(stage.spec, world, kept, [])
    again.batches.close()
    states = [each.terms[-1].state() for each in (stage, again)]
    assert states[0] == states[1] and states[1]["augment.steps"] == 1
    assert again.augmentation is not None and stage.augmentation is not None
    assert again.augmentation.p == stage.augmentation.p
