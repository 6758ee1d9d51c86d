"""Parsing of the seeds, class and codes of a command line."""

import pytest
import torch

from progan.pipeline.errors import ConfigError
from progan.pipeline.sampling.selection import parse_class, parse_codes, parse_seeds
from progan.stages.networks.conditioning import codes
from progan.stages.specs.model import CodesSpec

NAMES = ("cat", "dog", "0")
CODES = CodesSpec(categorical=(3, 2), continuous=2)


def test_seeds_are_numbers_and_ranges_in_the_order_written() -> None:
    assert parse_seeds("100, 0-3,7") == [100, 0, 1, 2, 3, 7]


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_invalid_seeds_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_seeds(text)


def test_class_is_given_by_name_or_label() -> None:
    assert [parse_class(word, NAMES) for word in ("dog", "1", "0")] == [1, 1, 2]


@pytest.mark.parametrize(
    ("word", "names", "message"),
    [
        ("dogs", NAMES, "did you mean dog?"),
        ("7", NAMES, "there are 3: cat, dog, 0"),
        ("cat", (), "not trained with classes"),
    ],
)
def test_unknown_class_is_refused(word: str, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_class(word, names)


def test_noise_of_a_code_gives_the_generator_its_value() -> None:
    noise = parse_codes(["0=2", "1=0", "2=-1", "3=0.25"], CODES)
    inputs = codes(torch.tensor([[noise[number] for number in range(4)]]), CODES)
    expected = torch.tensor([[0.0, 0, 1, 1, 0, -1, 0.25]])
    torch.testing.assert_close(torch.cat(inputs, dim=1), expected)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("0", "write NUMBER=VALUE"),
        ("0=red", "write NUMBER=VALUE"),
        ("0=3", "the values of code 0 are 0 to 2"),
        ("0=0.5", "the values of code 0 are 0 to 2"),
        ("3=1.5", "the values of code 3 are from -1 to 1"),
        ("4=0", "this generator has 4 codes"),
    ],
)
def test_invalid_codes_are_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_codes([word], CODES)
    with pytest.raises(ConfigError, match="has no codes"):
        parse_codes(["0=1"], CodesSpec())
