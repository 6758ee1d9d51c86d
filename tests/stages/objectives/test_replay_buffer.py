"""Past fakes: what is shown again was shown before, whoever shows it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from progan.stages.distributed.world import World
from progan.stages.objectives.replay_buffer import Replay
from progan.stages.rng import RngStreams
from progan.stages.specs.objective import ObjectiveSpec, ReplaySpec
from progan.stages.training.stage import build
from workers import spec

BATCH, DEPTH, GROUP, UPDATES = 16, 5, 4, 400
CPU = torch.device("cpu")


def replay(rank: int = 0, ranks: int = 1, share: float = 0.3) -> Replay:
    return Replay(share, DEPTH, (1, 1, 1), RngStreams(7, 8, BATCH, rank, ranks), GROUP, CPU)


def fresh(update: int) -> Tensor:
    """Fakes that say when and where they were made: 100 update + place."""
    return (100.0 * update + torch.arange(BATCH)).reshape(BATCH, 1, 1, 1)


def shown(buffer: Replay, update: int, fakes: Tensor) -> Tensor:
    return buffer.mingle(fakes, buffer.draw(update * BATCH, update)).flatten()


def test_what_is_shown_again_was_made_before_in_the_same_place_by_one_generator() -> None:
    buffer = replay()
    kept: list[dict[int, Tensor]] = [{} for _ in range(BATCH // GROUP)]  # layers of each group
    past = 0
    for update in range(UPDATES):
        rows = buffer.draw(update * BATCH, update)
        found = shown(buffer, update, fresh(update)).reshape(-1, GROUP)
        for group, images in enumerate(found):
            _, show, keep = rows[group * GROUP].tolist()
            own = fresh(update).reshape(-1, GROUP)[group]
            assert torch.equal(images, own if show < 0 else kept[group][show])
            kept[group][keep] = own
            past += show >= 0
            assert len(kept[group]) == min(update + 1, DEPTH)
    assert past / (UPDATES * BATCH / GROUP) == pytest.approx(0.3, abs=0.03)


def test_ranks_show_what_one_would() -> None:
    one, four = replay(), [replay(rank, 4) for rank in range(4)]
    for update in range(30):
        parts = fresh(update).chunk(4)
        whole = [shown(each, update, part) for each, part in zip(four, parts, strict=True)]
        assert torch.equal(torch.cat(whole), shown(one, update, fresh(update)))


def test_parts_of_a_batch_show_what_the_whole_would() -> None:
    whole, cut = replay(), replay()
    for update in range(30):
        rows = torch.split(cut.draw(update * BATCH, update), GROUP)
        parts = zip(torch.split(fresh(update), GROUP), rows, strict=True)
        found = torch.cat([cut.mingle(*part) for part in parts]).flatten()
        assert torch.equal(found, shown(whole, update, fresh(update)))


def test_half_precision_comes_back_as_it_was() -> None:
    buffer = replay(share=0.99)
    fakes = torch.randn(BATCH, 1, 1, 1, dtype=torch.bfloat16)
    shown(buffer, 0, fakes)
    again = shown(buffer, 1, torch.zeros_like(fakes))
    assert again.dtype == torch.bfloat16
    assert set(again.tolist()) <= {0.0, *fakes.flatten().tolist()} and again.any()


def test_a_checkpoint_is_for_any_number_of_ranks(world: World) -> None:
    buffer = replay()
    for update in range(9):
        shown(buffer, update, fresh(update))
    state = buffer.state(world)
    two = [replay(rank, 2) for rank in range(2)]
    for each in two:
        each.load(state)
    assert torch.equal(torch.cat([each.images for each in two], dim=1), buffer.images)
    shown(buffer, 9, fresh(9))
    assert not torch.equal(state["images"], buffer.images)  # it is a copy


def test_a_stage_keeps_its_own_and_goes_on_with_them(shapes: Path, world: World) -> None:
    again = ObjectiveSpec(replay=ReplaySpec(size=40))
    stage = build(spec(shapes, objective=again), world, None, [])
    assert stage.replay is not None
    assert stage.replay.images.shape == (2, 16, 3, 8, 8)  # two whole batches of 16
    assert not stage.replay.images.any()
    stage.replay.images.normal_()
    checkpoint = stage.checkpoint({})
    restored = build(stage.spec, world, checkpoint, [])
    assert restored.replay is not None
    assert torch.equal(restored.replay.images, stage.replay.images)
