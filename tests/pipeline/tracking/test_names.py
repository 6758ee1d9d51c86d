"""Whatever a run, a model, a tag or a parameter is called, MLflow accepts it."""

from typing import Any

import pytest

from progan.pipeline.tracking.mlflow import names

# MLflow emits FutureWarnings and DeprecationWarnings.
pytestmark = pytest.mark.filterwarnings("ignore")

TEXTS = [
    "faces",
    "2026-11-26 12:35:02",
    "it's \"faces\" [v2]",
    "a/b//c/../d/./e/",
    "/", ".", "..", "../x", "..x", "", " ", "`", "a\nb\0c", "\udcff", "\u202e",
    "日本 Ünïcode",
    "models:/x@y?z#1%20",
    "x" * 9000,
    "/".join("ab" * 200),
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_mlflow_accepts_names_and_values(text: str) -> None:
    from mlflow.utils import validation

    mlflow_rules: Any = validation
    mlflow_rules._validate_model_name(names.model_name(text))
    mlflow_rules._validate_logged_model_name(names.logged_model_name(text))
    for found, value in (names.tags({text: text}) | {names.key(text): "x"}).items():
        mlflow_rules._validate_tag(found, value)
        mlflow_rules._validate_param_name(found)
        assert len(found) <= mlflow_rules.MAX_ENTITY_KEY_LENGTH
        assert len(value) <= mlflow_rules.MAX_TAG_VAL_LENGTH
    for found, value in names.params({text: text}).items():
        mlflow_rules._validate_param(found, value)
        assert len(value) <= mlflow_rules.MAX_PARAM_VAL_LENGTH
    if text:
        mlflow_rules._validate_experiment_name(names.experiment_name(text))
    names.run_name(text).encode()


def test_names_that_mlflow_accepts_are_unchanged() -> None:
    for text in ("growth.fade_kimg", "system/cpu", "a-b c_d.e"):
        assert names.key(text) == text
    assert names.model_name("progan-photos v2.1") == "progan-photos v2.1"
    assert names.model_name("progan-2026-11-26 12:35") == "progan-2026-11-26 12-35"


def test_long_texts_that_differ_at_the_end_stay_different() -> None:
    long = "x" * 9000
    for shorten in (names.key, names.run_name, names.model_name, names.experiment_name):
        assert shorten(long) != shorten(long + "y")
        assert len(shorten(long)) <= 256
