"""Hints about what is allowed and probably not meant."""

from pathlib import Path

import pytest

from progan.datasets.build.prepare import prepare
from progan.datasets.format.manifest import Manifest
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.config.schema import load_config
from progan.pipeline.plan.hints import hints
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run_folder import RunFolder


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Of a data set of 120 pictures."""
    folder = tmp_path_factory.mktemp("hints")
    draw_dataset(folder / "pictures", num=120, size=8)
    return prepare(folder / "pictures", folder / "shapes", 8, workers=1)


def found(*words: str, manifest: Manifest | None = None) -> list[str]:
    config = load_config("demo", words)
    return hints(stage_specs(config, RunFolder(Path("RUN")), ""), manifest, config.launch)


def test_nothing_is_said_of_the_demo(manifest: Manifest) -> None:
    assert found(manifest=manifest) == []


def test_average_that_is_slower_than_a_stage_is_named() -> None:
    (hint,) = found("ema.half_life_kimg=5", "growth.last=8")
    assert hint.startswith("ema.half_life_kimg: 5 kimg is longer than stage 4, so that")
    assert hint.endswith("set 1 or less, or ema.rampup=0.05")


def test_fixed_decay_has_no_half_life() -> None:
    assert found("ema={decay: 0.999}", "growth.steady_kimg=0.1", "ticks.kimg=0.1") == []


def test_tick_that_is_longer_than_a_stage_is_named() -> None:
    (hint,) = found("ticks.kimg=5", "growth.last=16")
    assert "5 kimg is longer than stage 4: one line of metrics" in hint


@pytest.mark.parametrize(
    ("number", "batch", "said"),
    [
        (120, 240, "batch: 240 is more than the data set's 120 pictures, so that every step of "
                   "stages 4, 8, 16 and 32"),
        (1, 16, "batch: 16 is more than the data set's one picture"),
        (40, 16, "the data set has 40 pictures: the discriminator learns"),
    ],
)  # fmt: skip
def test_small_data_sets_are_warned_of(
    number: int, batch: int, said: str, manifest: Manifest
) -> None:
    small = manifest.model_copy(update={"num_samples": number})
    (hint,) = found(f"batch={batch}", manifest=small)
    assert hint.startswith(said)


def test_augmentation_is_named_where_pictures_are_shown_many_times(manifest: Manifest) -> None:
    (hint,) = found("growth.steady_kimg=20", manifest=manifest)
    assert hint.startswith("the run shows each of 120 pictures 741 times")
    assert "augment=diffaugment" in hint
    assert found("growth.steady_kimg=20", "augment=diffaugment", manifest=manifest) == []
