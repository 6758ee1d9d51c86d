"""Choices that do not go together are refused in one line that names the key."""

from pathlib import Path

import pytest

from progan.datasets.manifest import load_manifest
from progan.pipeline.config import load_config
from progan.pipeline.contradictions import contradiction, without_labels


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.classes=10"], "model.classes: a discriminator with head scalar never sees"),
        (["model.discriminator.head=acgan"], "model.discriminator.head: acgan needs labelled"),
        (["model.generator.codes.continuous=2"], "codes: a discriminator with head scalar never"),
        (["model.discriminator.head=infogan"], "infogan has no codes to read"),
        (["model.discriminator.head=projection"], "projection needs labelled pictures"),
    ],
)
def test_what_contradicts_itself_is_refused(words: list[str], said: str) -> None:
    problem = contradiction(load_config("demo", tuple(words)))
    assert problem and said in problem


def test_what_belongs_together_is_not() -> None:
    together = ("model.classes=10", "model.discriminator.head=acgan")
    assert contradiction(load_config("demo")) is None
    assert contradiction(load_config("demo", together)) is None


def test_the_data_set_must_have_the_classes(shapes: Path) -> None:
    manifest = load_manifest(shapes)
    have = len(manifest.classes or [])

    def problem(classes: int, **changes: object) -> str | None:
        config = load_config("demo", (f"data.path={shapes}", f"model.classes={classes}"))
        return without_labels(config, manifest.model_copy(update=changes))

    assert have > 1 and problem(have) is None and problem(0) is None
    assert f"model.classes: {have + 1}, but the data set {shapes} has {have}" == problem(have + 1)
    unlabelled = problem(have, num_samples=manifest.num_samples + 5)
    assert unlabelled and unlabelled.startswith("model.classes: 5 pictures of")
