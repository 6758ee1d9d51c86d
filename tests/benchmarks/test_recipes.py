"""Recipes on the command line: wrong ones are refused before any is trained."""

import argparse

import pytest

from measuring.recipes import recipe


def test_recipe_is_a_name_and_words() -> None:
    text = "wide=recommended-32 model={latent: 128, fmap_max: 64} batch=16"
    words = ("recommended-32", "model={latent: 128, fmap_max: 64}", "batch=16")
    assert recipe(text) == ("wide", words)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("recommended-32", "is not NAME=PRESET"),
        ("a=recommended-33", "a: .* recommended-33, did you mean"),
        ("a=recommended-32 optimizer.beta3=0", "did you mean optimizer.beta2"),
    ],
)
def test_wrong_recipe_is_refused(text: str, reason: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=reason):
        recipe(text)
