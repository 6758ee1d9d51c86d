"""The discriminator's logits for held-out pictures, for trained ones and for fakes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from progan.stages.distributed.world import World
from progan.stages.metrics.holdout import NAMES, holdout_logits
from progan.stages.networks.layers import fade
from progan.stages.rng import metric_latents
from progan.stages.specs.stage import GrowthSpec
from progan.stages.storage import handoff
from progan.stages.training.loop import step
from progan.stages.training.stage import Stage, build
from workers import spec

MODEL = {"latent": 16, "fmap_base": 64, "fmap_max": 16}
CRITICS = MODEL | {"discriminator": {"critics": 2}}


@pytest.fixture
def begin(shapes: Path, world: World) -> Iterator[Any]:
    stages: list[Stage] = []

    def build_one(**changes: Any) -> Stage:
        fields = {"metrics": {"holdout": 0.3}, "augment": "diffaugment", "micro_batch": 8}
        stages.append(build(spec(shapes, **(fields | changes)), world, None, []))
        return stages[-1]

    yield build_one
    for stage in stages:
        stage.batches.close()


@pytest.mark.parametrize("model", [MODEL, CRITICS], ids=["one", "two discriminators"])
def test_they_are_means_over_whole_groups_faded_and_not_augmented(
    begin: Any, model: Any, tmp_path: Path
) -> None:
    growth = GrowthSpec(fade_images=64, steady_images=64)
    before = begin(model=model)
    handoff.publish(tmp_path / "final", before.final(), before.networks())
    stage = begin(model=model, growth=growth, resolution=16, grown_from=tmp_path / "final")
    stage.images_seen = 16
    held_out = stage.batches.num_held_out // 4 * 4
    assert held_out > 8  # more than a micro-batch

    def mean(images: torch.Tensor) -> float:
        logits = [
            stage.discriminator(part.repeat(stage.spec.model.discriminator.critics, 1, 1, 1), 0.25)
            for part in torch.split(images, 4)
        ]
        return float(torch.cat(logits).double().mean())

    with torch.no_grad():
        latents = metric_latents(stage.spec.seed, held_out, 16)
        expected = [
            *(
                mean(fade(stage.batches.held_out(0, held_out, trained=trained).images(), 0.25))
                for trained in (False, True)
            ),
            mean(stage.generator(latents, 0.25)),
        ]
    found = holdout_logits(stage)
    assert list(found) == list(NAMES) and list(found.values()) == pytest.approx(expected, abs=1e-6)


def test_training_does_not_notice_that_they_are_computed(begin: Any) -> None:
    steps = []
    for look in (False, True):
        stage = begin()
        if look:
            holdout_logits(stage)
        steps.append(step(stage, dict).read())
    assert steps[0] == steps[1]


def test_without_a_holdout_there_are_none(begin: Any) -> None:
    assert holdout_logits(begin(metrics={})) == {}


@pytest.mark.slow
def test_a_discriminator_that_knows_its_pictures_by_heart_is_seen(begin: Any) -> None:
    """It is large for so few pictures: it calls them real, and the held-out ones less so."""
    large = MODEL | {"fmap_base": 512, "fmap_max": 64}
    objective = {"loss": "nonsaturating", "penalties": []}
    stage = begin(
        objective=objective, augment=None, metrics={"holdout": 0.45}, lr=0.005, model=large
    )
    for _ in range(150):
        step(stage, dict)
        stage.images_seen += 16
        stage.position += 16
    found = holdout_logits(stage)
    assert found["train_logits"] > found["holdout_logits"] + 0.4
