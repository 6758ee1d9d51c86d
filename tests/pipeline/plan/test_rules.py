"""Conflicting options are refused in one line that names the key."""

from pathlib import Path

import pytest

from progan.datasets.format.manifest import load_manifest
from progan.pipeline.config.schema import load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.plan import check, stage_specs, unshareable
from progan.pipeline.plan.rules import too_few_held_out, without_labels
from progan.pipeline.run_folder import RunFolder

DCGAN = ("model.arch=dcgan", "growth.first=32", "growth.last=32")
BATCH_NORM = "model.generator.norm=batch"


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check(load_config("demo", overrides), ranks=2)
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.classes=10"], "model.classes: a discriminator with head scalar never sees"),
        (["model.discriminator.head=acgan"], "model.discriminator.head: acgan needs labelled"),
        (["model.generator.codes.continuous=2"], "codes: a discriminator with head scalar never"),
        (["augment=ada"], "augment: ada follows the sign of D(real), and with objective.loss wgan"),
        (
            ["augment=ada", "objective.loss=hinge", "engine.deterministic=true"],
            "augment.pipe: on GPUs the gradient of g, the geometry, has no algorithm that gives",
        ),
        (["model.discriminator.head=infogan"], "infogan has no codes to read"),
        (
            [
                "model.classes=10",
                "model.discriminator.head=acgan",
                "objective.replay={size: 64, share: 0.5}",
            ],
            "objective.replay: past fakes do not keep the classes",
        ),
        (
            ["objective.unrolled=2", "objective.penalties=[{kind: spectral_norm}]"],
            "objective.unrolled: the steps ahead know nothing of spectral_norm",
        ),
        (
            [
                "model.discriminator.critics=2",
                "objective.penalties=[{kind: consensus, weight: 1}]",
            ],
            "objective.penalties: consensus is between two networks",
        ),
        (
            [
                "objective.penalties=[{kind: gradient_norm, weight: 1}]",
                "model.discriminator.critics=2",
            ],
            "objective.penalties: gradient_norm is about the weights of one discriminator",
        ),
        (
            ["growth.mode=stacked", "objective.penalties=[{kind: consensus, weight: 1}]"],
            "growth.mode: stacked keeps some weights as they are, and consensus is between all",
        ),
        (
            ["engine.compile=default", "objective.penalties=[{kind: consensus, weight: 1}]"],
            "engine.compile: consensus differentiates whole passes twice",
        ),
        (
            ["engine.compile.16=default", "objective.unrolled=1"],
            "engine.compile: objective.unrolled differentiates whole passes twice",
        ),
        (
            ["growth.mode=stacked", "optimizer.reset_on_growth=false"],
            "growth.mode: stacked begins to train the generator's older layers in mid-stage",
        ),
        (
            ["growth.mode=stacked", "growth.last=4"],
            "growth.mode: stacked, but growth.first and growth.last are both 4",
        ),
        (
            ["growth.mode=stacked", "growth.fade_kimg={8: 1, 16: 0}"],
            "growth.fade_kimg: stage 16 is to be trained separately for 0 kimg",
        ),
        (
            [
                "model.generator.codes.continuous=2",
                "model.discriminator.head=infogan",
                "objective.penalties=[{kind: mode_regularizer}]",
            ],
            "objective.penalties: mode_regularizer has the generator draw real pictures again",
        ),
        (
            ["model.generators=2", "objective.penalties=[{kind: mode_regularizer}]"],
            "objective.penalties: mode_regularizer has one generator draw real pictures again",
        ),
        (
            ["model.generators=2", "objective.replay.size=999"],
            "objective.replay: past fakes do not keep the classes, codes or generators",
        ),
        (["model.discriminator.norm=batch"], "which gradient is not meant for; use layer"),
        (["objective.loss=began"], "objective.loss: began is a game of energies"),
        (["model.arch=dcgan"], "model.arch: dcgan does not grow; set growth.first and growth.last"),
        (["model.arch=dcgan", "growth.last=4"], "to one resolution, 8 or more"),
        ([*DCGAN], "model.generator.norm: pixel, the default, is of progressive networks"),
        ([*DCGAN, "model.variant=pytorch_gan_zoo"], "pytorch_gan_zoo is of progressive networks"),
        (
            [*DCGAN, BATCH_NORM, "model.discriminator.head=autoencoder"],
            "model.discriminator.head: an autoencoder's decoder is a generator that grows",
        ),
        (
            [*DCGAN, BATCH_NORM, "model.discriminator.attention=[16, 32]"],
            "feature maps for pictures of 32 are 16x16; name 16 or less",
        ),
        (["model.discriminator.head=projection"], "projection needs labelled pictures"),
    ],
)
def test_conflicting_options_are_refused(words: list[str], message: str) -> None:
    assert message in refusal(*words)


def test_compatible_options_are_accepted() -> None:
    check(load_config("demo"), ranks=2)
    check(load_config("demo", ("model.classes=10", "model.discriminator.head=acgan")), ranks=2)
    check(load_config("demo", ("growth.mode=stacked", "objective.unrolled=2")), ranks=2)
    check(load_config("demo", ("growth.mode=none", "growth.last=4")), ranks=2)
    check(load_config("demo", (*DCGAN, BATCH_NORM)), ranks=2)
    check(load_config("dcgan-64"), ranks=4)
    check(load_config("demo", ("augment=diffaugment", "engine.deterministic=true")), ranks=2)
    colors = ("augment.kind=ada", "augment.pipe=bc", "engine.deterministic=true")
    check(load_config("demo", (*colors, "objective.loss=hinge")), ranks=2)


def test_data_set_must_have_the_classes(shapes: Path) -> None:
    manifest = load_manifest(shapes)
    have = len(manifest.classes or [])

    def problem(classes: int, **changes: object) -> str | None:
        config = load_config("demo", (f"data.path={shapes}", f"model.classes={classes}"))
        return without_labels(config, manifest.model_copy(update=changes))

    assert have > 1 and problem(have) is None and problem(0) is None
    assert f"model.classes: {have + 1}, but the data set {shapes} has {have}" == problem(have + 1)
    unlabelled = problem(have, num_samples=manifest.num_samples + 5)
    assert unlabelled and unlabelled.startswith("model.classes: 5 pictures of")


def test_too_few_held_out_pictures_are_refused(shapes: Path) -> None:
    manifest = load_manifest(shapes)

    def problem(*words: str, pictures: int = 500) -> str | None:
        config = load_config("demo", (f"data.path={shapes}", *words))
        return too_few_held_out(config, manifest.model_copy(update={"num_samples": pictures}))

    assert problem() is None and problem("metrics.holdout=0.032") is None
    found = problem("metrics.holdout=0.03")
    assert found and found.startswith("metrics.holdout: 0.03 of the 500 pictures of")
    assert found.endswith("are 15, whose mean logit says little; 0.032 are 16, which is enough")
    found = problem("metrics.holdout=0.1", pictures=20)
    assert found and found.endswith("are 2, whose mean logit says little; set it to 0")
    grouped = ("model.stddev_group=32", "metrics.holdout=0.05")
    assert "0.064 are 32" in str(problem(*grouped))


def test_weight_clip_conflicts_with_spectral_norm_of_the_discriminator() -> None:
    both = "objective.penalties=[{kind: spectral_norm%s}, {kind: weight_clip}]"
    assert "weight_clip and spectral_norm" in refusal(both % "")
    check(load_config("demo", (both % ", networks: [generator]",)), ranks=2)


def test_consensus_conflicts_with_activation_checkpointing() -> None:
    penalties = "objective.penalties=[{kind: consensus, weight: 1}]"
    assert "consensus works on copies" in refusal(penalties, "engine.activation_checkpointing=8")


@pytest.mark.parametrize("key", ["weight", "interval"])
def test_constraint_has_no_weight(key: str) -> None:
    message = refusal(f"objective.penalties=[{{kind: weight_clip, {key}: 2}}]")
    assert message.endswith(f"is a constraint, which holds always: it has no {key}")


def test_groups_are_not_split_over_ranks() -> None:
    matching = "objective.penalties=[{kind: feature_matching, weight: 1, group: 6}]"
    config = load_config("demo", (matching, "batch=24"))
    spec = stage_specs(config, RunFolder(Path("RUN")), "")[0]
    assert unshareable(spec, 2) is None
    message = unshareable(spec, 4)
    assert message is not None
    assert "groups of 12 (model.stddev_group, objective.penalties.0.group)" in message
