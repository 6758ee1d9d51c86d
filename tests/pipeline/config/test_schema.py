"""Configurations: presets, overrides, and one-line messages for wrong ones."""

from pathlib import Path

import pytest

from progan.pipeline.config.schema import RunConfig, load_config, presets
from progan.pipeline.config.yaml_io import read_yaml, write_yaml
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.plan import check, stage_specs
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.by_resolution import ByResolution
from progan.stages.specs.optimizers import RmsPropSpec


@pytest.mark.parametrize("name", presets())
def test_every_preset_can_be_planned(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    assert len(stage_specs(config, RunFolder(tmp_path), "")) == len(config.resolutions)
    check(config, ranks=1)


@pytest.mark.parametrize(
    ("name", "batches", "rates"),
    [
        ("celebahq-1024-1gpu", [128, 128, 128, 64, 32, 16, 8, 4, 4], [1] * 8 + [1.5]),
        ("celebahq-1024-8gpu", [512, 256, 128, 64] + [32] * 5, [1] * 5 + [1.5, 2, 3, 3]),
    ],
)
def test_presets_have_the_official_schedules(
    name: str, batches: list[int], rates: list[float], tmp_path: Path
) -> None:
    specs = stage_specs(load_config(name), RunFolder(tmp_path), "")
    assert [spec.batch for spec in specs] == batches
    assert [spec.lr * 1000 for spec in specs] == pytest.approx(rates)
    assert sum(spec.growth.total_images for spec in specs) == 12_000_000
    assert {spec.ema.per_step(spec.batch, 0) for spec in specs} == {0.999}
    check(load_config(name), ranks=8 if name.endswith("8gpu") else 1)


def test_map_by_resolution_applies_upwards() -> None:
    rates = ByResolution[float].model_validate({"default": 1.0, 256: 2.0})
    assert [rates.at(r) for r in (4, 128, 256, 1024)] == [1.0, 1.0, 2.0, 2.0]
    assert ByResolution[float].model_validate({8: 3.0}).at(4) == 3.0
    assert ByResolution[float].model_validate(5.0).at(64) == 5.0


def test_penalty_weighs_what_its_stage_says(tmp_path: Path) -> None:
    specs = stage_specs(load_config("recommended-1024"), RunFolder(tmp_path), "")
    weights = {
        spec.resolution: spec.objective.penalties[0].model_dump()["weight"] for spec in specs
    }
    assert weights == {16: 0.1, 32: 0.1, 64: 0.1, 128: 0.1, 256: 0.4, 512: 3.3, 1024: 13}


@pytest.mark.parametrize(
    "weight, message",
    [("-1", "greater than 0, not -1"), ("{63: 1}", "63 is no resolution"), ("{8: x}", "'x'")],
)
def test_weight_that_is_none_is_refused(weight: str, message: str) -> None:
    word = f"objective.penalties=[{{kind: r1, weight: {weight}}}]"
    with pytest.raises(ConfigError, match=rf"objective\.penalties\.0\.weight: .*{message}"):
        load_config("demo", (word,))


def test_overrides_set_maps_lists_and_new_entries() -> None:
    config = load_config(
        "demo",
        ("growth.last=16", "batch.8=32", "objective.penalties.0.weight=5", "tracking.mlflow=off",
         "optimizer.eps=1e-6"),
    )  # fmt: skip
    assert config.resolutions == [4, 8, 16]
    assert [config.batch.at(r) for r in (4, 8)] == [16, 32]
    assert config.objective.penalties[0].model_dump()["weight"] == 5
    assert config.tracking.mlflow == "off"
    assert config.optimizer.model_dump()["eps"] == 1e-6


def test_each_optimizer_has_its_own_keys() -> None:
    config = load_config("demo", ("optimizer.kind=rmsprop", "optimizer.alpha=0.9"))
    specs = stage_specs(config, RunFolder(Path()), "")
    assert {spec.optimizer for spec in specs} == {RmsPropSpec(kind="rmsprop", alpha=0.9)}
    assert specs[0].lr == 0.002  # the preset's


def test_discriminator_may_have_its_own_learning_rate() -> None:
    words = ("optimizer.discriminator_lr.8=0.004", "optimizer.discriminator_lr.16=0.006")
    specs = stage_specs(load_config("demo", words), RunFolder(Path()), "")
    assert [spec.rates["discriminator"] for spec in specs[:3]] == [0.002, 0.004, 0.006]
    assert {spec.rates["generator"] for spec in specs} == {0.002}


@pytest.mark.parametrize("words", [
    (),
    ("optimizer.kind=rmsprop", "optimizer.discriminator_lr.64=0.002", "objective.replay.size=999"),
    ("optimizer.kind=sgd", "optimizer.momentum=0.9", "optimizer.lr=0.1"),
])  # fmt: skip
def test_frozen_configuration_reads_back_the_same(words: tuple[str, ...], tmp_path: Path) -> None:
    config = load_config("celebahq-1024-8gpu", words)
    write_yaml(tmp_path / "config.yaml", config)
    assert RunConfig.model_validate(read_yaml(tmp_path / "config.yaml")) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("growth.lst=32", "demo: growth.lst: unknown key, did you mean growth.last?"),
        ("growth.last=48", "demo: growth.last: must be a power of two from 4 to 1024, not 48"),
        ("growth.last=big", "demo: growth.last: input should be a valid integer"),
        ("engine.activation_checkpointing=48", "must be a power of two from 4 to 1024, not 48"),
        ("batch.12=16", "demo: batch: 12 is no resolution"),
        ("batch.8=many", "demo: batch.8: input should be a valid integer"),
        ("growth.first=64", r"demo: growth: first \(64\) is above last \(32\)"),
        ("objective.loss=wgang", "demo: objective.loss: input should be one of 'wgan', "),
        ("launch.gpus_per_node=none", "demo: launch.gpus_per_node: input should be a valid int"),
        ("seed", "seed: expected key=value"),
        ("seed.x=1", "seed.x: seed is a single value, it has no keys"),
        ("objective.penalties.7.weight=1", "7 is no index of a list of 2"),
        ("optimizer.betta1=0", "optimizer.betta1: unknown key, did you mean optimizer.beta1"),
        ("optimizer={kind: rmsprop, beta1: 0}", "optimizer.beta1: unknown key; known here: kind, "),
        ("optimizer.kind=lion", "optimizer: input should be one of 'adam', 'rmsprop', 'sgd', not"),
        (
            "optimizer={kind: sgd, momentum: 0, nesterov: true}",
            "optimizer: nesterov is a kind of mom",
        ),
        ("objective.unrolled=-1", "objective.unrolled: input should be greater than or equal to 0"),
        ("objective.replay.share=0.5", "objective.replay.size: missing"),
        ("objective.replay={size: 64, share: 1}", "objective.replay.share: input should be less t"),
        ("augment=blur", "augment: input should be one of 'diffaugment', 'ada', not 'blur'"),
        ("augment.target=0.5", "augment.kind: missing, it has no default; add augment.kind=VALUE"),
        ("augment={kind: ada, pipe: x}", "demo: augment.pipe: input should be 'b', 'g', 'c', "),
        ("augment={kind: ada, polcy: x}", "augment.polcy: unknown key; known here: kind, target"),
        ("augment={kind: diffaugment, policy: [color, color]}", "names a transformation twice"),
        ("metrics.holdout=0.7", "metrics.holdout: input should be less than 0.5, not 0.7"),
        ("batch=[", "'\\[' is not a YAML value"),
        ("data=shapes", r"data: is a group of keys \(path, mirror, .*\); set data.path=VALUE"),
        ("optimizer.lr=.nan", "optimizer.lr.default: input should be a finite number, not nan"),
        ("growth.steady_kimg=1e400", "growth.steady_kimg.default: input should be a finite number"),
        ("ema.half_life_kimg=.inf", "ema.half_life_kimg: input should be a finite number, not inf"),
        ("objective.penalties.0.weight=.inf", "penalties.0.weight: input should be a finite num"),
        ("data.cache_gb=1e300", "data.cache_gb: input should be less than or equal to 1000000"),
        ("data.threads=1000000", "data.threads: input should be less than or equal to 1024"),
        ("ticks.kimg=0.0004", "ticks.kimg.default: input should be greater than or equal to 0.001"),
        ("growth.steady_kimg=1e-9", "steady_kimg.default: input should be greater than or equal"),
        ("engine.collective_timeout_minutes=1e300", "minutes: input should be less than or equal"),
    ],
)
def test_wrong_value_is_refused_by_its_key(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config("demo", (override,))
    assert len(str(caught.value).splitlines()) == 1


def test_missing_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data: {path: x}\n")
    with pytest.raises(ConfigError, match="batch: missing"):
        load_config(str(tmp_path / "a.yaml"))
    (tmp_path / "a.yaml").write_text("batch: 16\n")
    with pytest.raises(ConfigError, match="data.path: missing, .* add data.path=VALUE"):
        load_config(str(tmp_path / "a.yaml"))


def test_device_is_no_configuration() -> None:
    with pytest.raises(ConfigError, match="/dev/null is no regular file; a configuration is"):
        load_config("/dev/null")


def test_duplicate_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 1\nseed: 2\n")
    with pytest.raises(ConfigError, match="duplicate key"):
        load_config(str(tmp_path / "a.yaml"))


def test_unknown_name_lists_the_presets() -> None:
    with pytest.raises(ConfigError, match=r"no preset is named nope; presets: .*demo"):
        load_config("nope")


def test_batch_not_divisible_by_ranks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"batch.4: 16 .* over 3 ranks .* multiple of 12"):
        check(load_config("demo"), ranks=3)


@pytest.mark.parametrize("micro_batch", ["2", "3", "12"])
def test_unfit_micro_batch_is_refused_with_those_that_fit(micro_batch: str) -> None:
    config = load_config("demo", (f"micro_batch.8={micro_batch}", "batch=32"))
    with pytest.raises(ConfigError, match=rf"micro_batch.8: {micro_batch} .* these do: 4, 8, 16$"):
        check(config, ranks=2)
    check(load_config("demo", ("micro_batch.8=8", "batch=32")), ranks=2)


def test_zero_feature_maps_are_refused() -> None:
    config = load_config("celebahq-1024-1gpu", ("model.fmap_base=256",))
    with pytest.raises(ConfigError, match="no feature map at 1024; use at least 512"):
        check(config, ranks=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("objective.replay.size=63", "batch=32", "batch.16=64"),
            "objective.replay.size: 63 is less than a batch of stage 16; use at least 64",
        ),
        (
            ("objective.unrolled=5", "micro_batch.8=4", "batch=16"),
            "objective.unrolled: the steps ahead need a rank's 8 images at once, and micro_batch.8 "
            "takes 4",
        ),
        (
            ("objective.unrolled=5", "engine.activation_checkpointing=16", "batch=16"),
            "objective.unrolled: what engine.activation_checkpointing computes again would not "
            r"have the weights of the steps ahead \(at 16\)",
        ),
    ],
)
def test_unrolling_and_replay_that_do_not_fit_the_batch_are_refused(
    words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check(load_config("demo", words), ranks=2)


@pytest.mark.parametrize("text", ['"\\n"', '"\\e[31m"', '"\\0"', '"\\x9b"'])
@pytest.mark.parametrize(
    "key", ["data.path", "tracking.experiment", "tracking.tags.a", "model.init"]
)
def test_characters_that_are_no_text_are_refused_in_every_key(key: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"demo: {key}: has a character that is no text"):
        load_config("demo", (f"{key}={text}",))


def test_names_of_tags_are_text() -> None:
    with pytest.raises(ConfigError, match=r"tracking.tags.a\?: has a character that is no text"):
        load_config("demo", ("tracking.tags.a\udcff=b",))
