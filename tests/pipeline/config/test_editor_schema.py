"""The JSON schema for editors accepts what progan accepts."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from progan.pipeline.config.commented import commented_yaml
from progan.pipeline.config.editor_schema import editor_schema
from progan.pipeline.config.schema import PRESETS, load_config, presets
from progan.pipeline.config.yaml_io import read_yaml


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = editor_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def as_json(path: Path) -> Any:
    """As the YAML language server sees a file: keys are texts."""
    return json.loads(json.dumps(read_yaml(path)))


@pytest.mark.parametrize("name", presets())
def test_presets_are_valid(name: str, validator: Any, tmp_path: Path) -> None:
    assert [*validator.iter_errors(as_json(PRESETS / f"{name}.yaml"))] == []
    complete = tmp_path / "complete.yaml"
    complete.write_text(commented_yaml(load_config(name)))
    assert [*validator.iter_errors(as_json(complete))] == []


@pytest.mark.parametrize(
    "values",
    [
        {"objective": {"loss": "hinge"}},
        {"objective": {"loss": {"kind": "hinge"}}},
        {"augment": "ada"},
        {"augment": None},
        {"optimizer": {"lr": {"default": 0.1, "64": 0.2}}},
        {"optimizer": {"kind": "sgd"}},
        {"model": {"discriminator": {"head": "acgan"}}},
        {"launch": {"time_limit": 60}},
    ],
)
def test_short_forms_are_valid(values: dict[str, Any], validator: Any) -> None:
    assert [*validator.iter_errors({"data": {"path": "x"}, "batch": 8} | values)] == []


@pytest.mark.parametrize(
    "values",
    [
        {"growth": {"lsat": 64}},
        {"batch": {"63": 8}},
        {"batch": {}},
        {"batch": 0},
        {"objective": {"loss": "hnge"}},
        {"objective": {"loss": {"kind": "hinge", "margin": 1}}},
        {"optimizer": {"lr": {"64": -1}}},
        {"engine": {"precision": "fp64"}},
    ],
)
def test_mistakes_are_found(values: dict[str, Any], validator: Any) -> None:
    assert [*validator.iter_errors({"data": {"path": "x"}, "batch": 8} | values)]


def test_keys_have_their_explanations() -> None:
    growth = editor_schema()["$defs"]["GrowthConfig"]["properties"]
    assert growth["steady_kimg"]["description"].startswith("Thousands of images")
