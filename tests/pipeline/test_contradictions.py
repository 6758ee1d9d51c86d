"""Choices that do not go together are refused before anything starts."""

from pathlib import Path

import pytest

from progan.pipeline.config import load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan import check, stage_specs, unshareable
from progan.pipeline.rundir import RunFolder


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check(load_config("demo", overrides), ranks=2)
    return str(caught.value)


def test_clipped_weights_are_not_normalised_too() -> None:
    both = "objective.penalties=[{kind: spectral_norm%s}, {kind: weight_clip}]"
    assert "weight_clip and spectral_norm" in refusal(both % "")
    check(load_config("demo", (both % ", networks: [generator]",)), ranks=2)


def test_consensus_does_not_recompute() -> None:
    penalties = "objective.penalties=[{kind: consensus, weight: 1}]"
    assert "consensus works on copies" in refusal(penalties, "engine.activation_checkpointing=8")


@pytest.mark.parametrize("key", ["weight", "interval"])
def test_a_constraint_has_no_weight(key: str) -> None:
    said = refusal(f"objective.penalties=[{{kind: weight_clip, {key}: 2}}]")
    assert said.endswith(f"is a constraint, which holds always: it has no {key}")


def test_groups_are_not_split() -> None:
    matching = "objective.penalties=[{kind: feature_matching, weight: 1, group: 6}]"
    config = load_config("demo", (matching, "batch=24"))
    spec = stage_specs(config, RunFolder(Path("RUN")), "")[0]
    assert unshareable(spec, 2) is None
    said = unshareable(spec, 4)
    assert said is not None
    assert "groups of 12 (model.stddev_group, objective.penalties.0.group)" in said
