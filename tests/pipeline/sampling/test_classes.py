"""Classes by name or label."""

import pytest

from progan.pipeline.errors import ConfigError
from progan.pipeline.sampling.selection import class_number

NAMES = ("cat", "dog", "0")


def test_a_class_is_named_or_numbered() -> None:
    assert [class_number(word, NAMES) for word in ("dog", "1", "0")] == [1, 1, 2]


@pytest.mark.parametrize(
    ("word", "names", "said"),
    [
        ("dogs", NAMES, "did you mean dog?"),
        ("7", NAMES, "there are 3: cat, dog, 0"),
        ("cat", (), "not trained with classes"),
    ],
)
def test_what_is_none_is_said(word: str, names: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        class_number(word, names)
