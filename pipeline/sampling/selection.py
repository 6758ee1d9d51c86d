"""Command-line choices of what to draw: seeds, a class and codes. Does not import torch."""

import difflib
import math
import re
from collections.abc import Sequence
from statistics import NormalDist

from progan.pipeline.errors import ConfigError
from progan.stages.specs.model import CodesSpec

MAX_SEEDS = 1_000_000
MAX_NAMES_SHOWN = 12
"""Class names in an error message"""


def parse_seeds(text: str) -> list[int]:
    """`0-2,7` -> [0, 1, 2, 7], in the order written. ConfigError if the text is invalid."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", part)
        if match is None:
            raise ConfigError(f"--seeds {text}: {part.strip() or 'an empty part'!r} is neither a "
                              "number nor a range; write them like 0-63,100")  # fmt: skip
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ConfigError(f"--seeds {text}: {part.strip()} goes backwards")
        if last - first >= MAX_SEEDS - len(seeds):
            raise ConfigError(f"--seeds {text}: these are more than {MAX_SEEDS:,}")
        seeds += range(first, last + 1)
    return seeds


def parse_class(text: str, names: Sequence[str], option: str = "--class") -> int:
    """The label of a class given by name or label. ConfigError if there is no such class.

    option: what the message says was wrong.
    """
    if not names:
        raise ConfigError(f"{option} {text}: this generator was not trained with classes")
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    shown = ", ".join(names[:MAX_NAMES_SHOWN]) + (", ..." if len(names) > MAX_NAMES_SHOWN else "")
    close = difflib.get_close_matches(text, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {len(names)}: {shown}"
    raise ConfigError(f"{option} {text}: no such class; {hint}")


def parse_codes(words: Sequence[str], spec: CodesSpec) -> dict[int, float]:
    """NUMBER=VALUE words -> by code number, the N(0, 1) value that gives the code this value.

    A categorical code's values count from 0, a continuous one's are from -1 to 1. Categorical codes
    are numbered first. ConfigError if a word is invalid for this generator.
    """
    noise = {}
    for word in words:
        match = re.fullmatch(r"(\d{1,4})=(-?\d*\.?\d+)", word)
        if match is None:
            raise ConfigError(f"--code {word}: write NUMBER=VALUE, like 0=3 or 1=-0.5")
        number, value = int(match[1]), float(match[2])
        if number >= spec.count:
            raise ConfigError(f"--code {word}: this generator has {spec.count or 'no'} codes")
        noise[number] = _inverse_normal(_quantile(word, number, value, spec))
    return noise


def noise_of_index(index: int, generators: int) -> float:
    """The N(0, 1) value that has generator `index` draw. ConfigError if there is none."""
    if generators == 1:
        raise ConfigError(f"--generator {index}: this model has a single generator; leave it out")
    if index >= generators:
        raise ConfigError(f"--generator {index}: there are {generators}, from 0 on")
    return _inverse_normal((index + 0.5) / generators)


def _quantile(word: str, number: int, value: float, spec: CodesSpec) -> float:
    """The value's place in the code's uniform distribution, from 0 to 1."""
    if number < len(spec.categorical):
        size = spec.categorical[number]
        if value not in range(size):
            raise ConfigError(f"--code {word}: the values of code {number} are 0 to {size - 1}")
        return (value + 0.5) / size
    if abs(value) > 1:
        raise ConfigError(f"--code {word}: the values of code {number} are from -1 to 1")
    return (value + 1) / 2


def _inverse_normal(quantile: float) -> float:
    """The inverse distribution function of N(0, 1), infinite at 0 and 1."""
    if quantile in (0, 1):
        return math.copysign(math.inf, quantile - 0.5)
    return NormalDist().inv_cdf(quantile)
