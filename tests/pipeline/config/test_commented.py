"""Configurations as YAML that explains itself."""

from pathlib import Path

import pytest

from progan.launch.spec import LaunchSpec
from progan.pipeline.config.commented import commented_yaml
from progan.pipeline.config.schema import RunConfig, load_config, presets

PENALTIES = "objective.penalties=[{kind: r1, weight: {4: 1, 64: 2}}, {kind: spectral_norm}]"


def auto(launch: LaunchSpec) -> str:
    return "auto"


def loaded(name: str, *overrides: str) -> RunConfig:
    return load_config(name, overrides, auto)


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads_again_as_the_same(name: str, tmp_path: Path) -> None:
    config = loaded(name)
    (tmp_path / "complete.yaml").write_text(commented_yaml(config))
    assert loaded(str(tmp_path / "complete.yaml")).model_dump() == config.model_dump()


def test_optional_groups_lists_and_maps_load_again_as_the_same(tmp_path: Path) -> None:
    config = loaded(
        "sagan-128", "augment=ada", PENALTIES, "objective.replay.size=500", "launch.env.A='1 # b'",
        "tracking.tags.b=yes", "engine.precision=fp32", "launch.sbatch=['--mem=0', '--comment=#b']",
    )  # fmt: skip
    (tmp_path / "complete.yaml").write_text(commented_yaml(config))
    assert loaded(str(tmp_path / "complete.yaml")).model_dump() == config.model_dump()


def test_keys_are_explained_where_they_are() -> None:
    text = commented_yaml(loaded("demo", PENALTIES))
    assert "  # Size of the latent vector.\n  latent: 64\n" in text
    assert "# Adam and its learning rates. Kinds: adam, rmsprop, sgd.\noptimizer:\n" in text
    assert "One of: fade,\n  # stacked, none.\n  mode: fade\n" in text
    assert "  # Small gradients at real pictures (r1) or at fakes (r2).\n  - kind: r1\n" in text
