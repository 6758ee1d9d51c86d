"""Seeds as people write them."""

import pytest

from progan.pipeline.errors import ConfigError
from progan.pipeline.sampling.selection import parse_seeds


def test_numbers_and_ranges_in_the_order_written() -> None:
    assert parse_seeds("100, 0-3,7") == [100, 0, 1, 2, 3, 7]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "an empty part"),
        ("1,,2", "an empty part"),
        ("3-", "'3-' is neither"),
        ("-3", "'-3' is neither"),
        ("a-b", "'a-b' is neither"),
        ("5-2", "goes backwards"),
        ("0-99999999999", "more than 1,000,000"),
    ],
)
def test_what_means_nothing_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_seeds(text)
