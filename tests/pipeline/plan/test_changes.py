"""Configuration changes of a resumed run."""

from pathlib import Path

import pytest

from progan.pipeline.config.schema import load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.changes import accept_changes
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import StageSpec


def begun(*resolutions: int, words: tuple[str, ...] = ()) -> list[StageSpec]:
    """What stages of the demo were started with, by workers of another folder."""
    config = load_config("demo", words)
    return [stage_spec(config, RunFolder(Path("/RUN")), "f", each) for each in resolutions]


@pytest.mark.parametrize(
    "override",
    ["launch.gpus_per_node=7", "tracking.mlflow=off", "checkpoint.keep=9", "data.path=elsewhere",
     "ticks.kimg=3", "batch.16=32", "growth.fade_kimg.32=9", "optimizer.lr.16=0.1",
     "growth.last=64", "metrics.images=64", "engine.zero=2", "engine.activation_checkpointing=8",
     "engine.compile={default: off, 16: default}"],
)  # fmt: skip
def test_change_of_no_started_stage_is_accepted(override: str) -> None:
    changes = accept_changes(load_config("demo"), load_config("demo", (override,)), begun(4, 8))
    assert len(changes) >= 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=3", "seed: the run was started with 0, not 3"),
        ("model.fmap_max=8", "model.fmap_max: the run was started with 64, not 8"),
        ("growth.first=8", "growth.first: the run was started with 4, not 8"),
        ("batch=32", "batch: stage 4 has begun with 16, not 32"),
        ("optimizer.lr=0.1", "optimizer.lr: stage 4 has begun with 0.002, not 0.1"),
        ("growth.mode=stacked", "growth.mode: stage 8 has begun with fade, not stacked"),
        ("growth.fade_kimg.8=9", "growth.fade_kimg: stage 8 has begun with 3000, not 9000"),
        ("objective.critic_steps=2", "objective.critic_steps: stage 4 has begun with 1, not 2"),
        ("engine.precision=bf16", "engine.precision: stage 4 has begun with fp32, not bf16"),
        ("engine.compile=default", "engine.compile: stage 4 has begun with off, not default"),
        ("data.mirror=false", "data.mirror: stage 4 has begun with true, not false"),
        ("growth.last=4", "growth.last: stage 8 has begun, and 4 leaves it out"),
    ],
)
def test_change_of_a_started_stage_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        accept_changes(load_config("demo"), load_config("demo", (override,)), begun(4, 8))
    assert message in str(caught.value)


def test_growth_mode_may_change_during_the_first_stage() -> None:
    changed = load_config("demo", ("growth.mode=stacked",))
    assert accept_changes(load_config("demo"), changed, begun(4)) == ["growth.mode=stacked"]


def test_equal_configurations_have_no_changes() -> None:
    assert accept_changes(load_config("demo"), load_config("demo"), begun(4)) == []


def test_configuration_that_was_edited_in_the_run_is_refused() -> None:
    edited = load_config("demo", ("seed=3", "model.latent=32", "batch=32", "optimizer.lr=1"))
    with pytest.raises(ConfigError) as caught:
        accept_changes(edited, edited, begun(4))
    assert str(caught.value) == (
        "seed: stage 4 has begun with 0, not 3; batch: 16, not 32; optimizer.lr: 0.002, not 1.0; "
        "1 more (model.latent); start another run for that (--run)"
    )
