"""Configuration changes of a resumed run."""

from dataclasses import replace
from pathlib import Path

import pytest

from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.changes import Recorded, accept_changes
from progan.pipeline.plan.mid_stage import Begun
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run_folder import RunFolder


def begun(*resolutions: int, words: tuple[str, ...] = ()) -> list[Begun]:
    """Stages of the demo with a checkpoint after 1,000 images, begun in another folder."""
    config, run = load_config("demo", words), RunFolder(Path("/RUN"))
    return [Begun(stage_spec(config, run, "f", each), 1000) for each in resolutions]


def finished(stages: list[Begun]) -> list[Begun]:
    return [replace(s, images_seen=s.spec.growth.total_images, finished=True) for s in stages]


def change(*words: str, stages: list[Begun], recorded: Recorded | None = None) -> list[str]:
    """The keys that `--change` is needed for, or that a longer stage has, as stage.key."""
    old, new = load_config("demo"), load_config("demo", words)
    changes = accept_changes(old, new, stages, recorded=recorded, change=True)
    return [f"{stage}:{each.key}" for stage, found in changes.in_stages.items() for each in found]


@pytest.mark.parametrize(
    "override",
    ["launch.gpus_per_node=7", "tracking.mlflow=off", "checkpoint.keep=9", "data.path=elsewhere",
     "ticks.kimg=3", "batch.16=32", "growth.fade_kimg.32=9", "optimizer.lr.16=0.1",
     "growth.last=64", "metrics.images=64", "engine.zero=2", "engine.activation_checkpointing=8",
     "engine.compile={default: off, 16: default}", "micro_batch=8", "data.threads=3"],
)  # fmt: skip
def test_change_of_no_started_stage_is_accepted(override: str) -> None:
    changes = accept_changes(load_config("demo"), load_config("demo", (override,)), begun(4, 8))
    assert len(changes.words) >= 1 and changes.in_stages == {}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=3", "seed: the run was started with 0, not 3"),
        ("model.fmap_max=8", "model.fmap_max: the run was started with 64, not 8"),
        ("growth.first=8", "growth.first: the run was started with 4, not 8"),
        ("batch=32", "batch: stage 4 has begun with 16, not 32"),
        ("optimizer.lr=0.1", "optimizer.lr: stage 4 has begun with 0.002, not 0.1"),
        ("growth.mode=stacked", "growth.mode: stage 8 has begun with fade, not stacked"),
        ("growth.fade_kimg.8=9", "growth.fade_kimg: stage 8 has begun with 3.0, not 9.0"),
        ("objective.critic_steps=2", "objective.critic_steps: stage 4 has begun with 1, not 2"),
        ("engine.precision=bf16", "engine.precision: stage 4 has begun with fp32, not bf16"),
        ("engine.compile=default", "engine.compile: stage 4 has begun with off, not default"),
        ("augment=diffaugment", "augment: stage 4 has begun with null, not diffaugment; to train"),
        ("optimizer={kind: sgd, lr: 0.1}", "optimizer.lr: stage 4 has begun with 0.002, not 0.1"),
        ("ema.decay=0.9", "ema.decay: stage 4 has begun with null, not 0.9; to train on with it"),
        ("growth.steady_kimg.4=9", "(growth.steady_kimg.8=KIMG), or train stage 4 again"),
        ("metrics.holdout=0.1", "metrics.holdout: the run was started with 0.0, not 0.1"),
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
    assert accept_changes(load_config("demo"), changed, begun(4)).words == ["growth.mode=stacked"]


def test_equal_configurations_have_no_changes() -> None:
    assert accept_changes(load_config("demo"), load_config("demo"), begun(4)) == ([], {})


def test_configuration_that_was_edited_in_the_run_is_refused() -> None:
    edited = load_config("demo", ("seed=3", "model.latent=32", "batch=32", "optimizer.lr=1"))
    with pytest.raises(ConfigError) as caught:
        accept_changes(edited, edited, begun(4))
    assert str(caught.value) == (
        "seed: stage 4 has begun with 0, not 3; batch: 16, not 32; optimizer.lr: 0.002, not 1.0; "
        "1 more (model.latent); start another run for that (--run)"
    )


@pytest.mark.parametrize(
    "word",
    ["optimizer.lr=0.1", "objective.penalties.0.weight=3", "batch=32", "augment=diffaugment",
     "ema.half_life_kimg=7", "engine.precision=bf16", "objective.critic_steps=2",
     "objective.loss=hinge"],
)  # fmt: skip
def test_change_lets_a_stage_go_on_with_what_changes_its_computation(word: str) -> None:
    config = load_config("demo", (word,))
    assert change(word, stages=begun(4))
    with pytest.raises(ConfigError, match="--change"):
        accept_changes(load_config("demo"), config, begun(4))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("seed=3",), "seed: the run was started with 0"),
        (("model.latent=8",), "model.latent: the run was started with"),
        (("optimizer={kind: sgd, lr: 0.1}",), "optimizer: stage 8 has begun, and it would need"),
        (("growth.mode=stacked",), "stage 8 has begun with fade, not stacked, and other layers"),
        (("growth.fade_kimg.8=0.5",), "stage 8 has begun with 3.0, not 0.5, and 1 kimg have been"),
        (
            ("objective.replay.size=64",),
            "and the checkpoint has no past fakes for that size and batch",
        ),
        (
            ("objective.penalties=[{kind: spectral_norm}]",),
            "spectral_norm changes what all weights mean; start another run",
        ),
        (
            ("objective.penalties=[{kind: mode_regularizer}]",),
            "an encoder would have to be trained from the stage's start",
        ),
    ],
)
def test_what_no_checkpoint_allows_is_refused_also_with_change(
    words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        change(*words, stages=finished(begun(4)) + begun(8))
    assert message in str(caught.value)


def test_accepted_value_is_accepted_again_without_change_and_another_is_not() -> None:
    recorded = {4: {"optimizer.lr": 0.1}}
    old = load_config("demo")
    for value in (0.1, 0.2):
        new = load_config("demo", (f"optimizer.lr={value}",))
        if value == 0.1:
            assert accept_changes(old, new, begun(4), recorded=recorded).in_stages == {}
        else:
            with pytest.raises(ConfigError, match=r"with 0.002, not 0.2"):
                accept_changes(old, new, begun(4), recorded=recorded)


def test_last_stage_may_be_made_longer_whether_it_has_ended_or_not() -> None:
    new = load_config("demo", ("growth.steady_kimg.8=9",))
    for stages in (begun(4, 8), finished(begun(4, 8))):
        found = accept_changes(load_config("demo"), new, stages).in_stages
        assert [(r, [each.key for each in f]) for r, f in found.items()] == [
            (8, ["growth.steady_kimg"])
        ]


def test_stage_may_be_made_shorter_while_it_has_not_shown_as_many_images() -> None:
    def shorter(kimg: float) -> RunConfig:
        return load_config("demo", (f"growth.steady_kimg.4={kimg}",))

    assert accept_changes(load_config("demo"), shorter(1.1), begun(4)).in_stages.keys() == {4}
    with pytest.raises(ConfigError, match=r"0\.9 kimg are too few: 1 kimg have been shown"):
        accept_changes(load_config("demo"), shorter(0.9), begun(4))


def test_ended_stage_cannot_be_made_shorter() -> None:
    new = load_config("demo", ("growth.steady_kimg.4=0.1",))
    with pytest.raises(ConfigError, match=r"growth.steady_kimg: stage 4 has begun with"):
        accept_changes(load_config("demo"), new, finished(begun(4)))


def test_group_that_is_switched_on_is_one_word() -> None:
    new = load_config("demo", ("augment={kind: diffaugment, policy: [color]}",))
    words = accept_changes(load_config("demo"), new, []).words
    assert words == ["augment.kind=diffaugment", 'augment.policy=["color"]']
