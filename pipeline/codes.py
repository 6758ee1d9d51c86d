"""InfoGAN's codes as people set them: 0=3 1=-0.5; no torch."""

import math
import re
from collections.abc import Sequence
from statistics import NormalDist

from progan.pipeline.errors import ConfigError
from progan.stages.spec import CodesSpec


def code_noise(words: Sequence[str], spec: CodesSpec) -> dict[int, float]:
    """The number of N(0, 1) that each code named in `words` comes from, by the code's number.

    Words are NUMBER=VALUE: a categorical code's value counts from 0, a continuous one's lies from
    -1 to 1. Categorical codes are numbered first. ConfigError if one means nothing here.
    """
    found = {}
    for word in words:
        match = re.fullmatch(r"(\d{1,4})=(-?\d*\.?\d+)", word)
        if match is None:
            raise ConfigError(f"--code {word}: write NUMBER=VALUE, like 0=3 or 1=-0.5")
        number, value = int(match[1]), float(match[2])
        if number >= spec.count:
            raise ConfigError(f"--code {word}: this generator has {spec.count or 'no'} codes")
        found[number] = _noise(_share(word, number, value, spec))
    return found


def _share(word: str, number: int, value: float, spec: CodesSpec) -> float:
    """Where the value lies among all, from 0 to 1."""
    if number < len(spec.categorical):
        size = spec.categorical[number]
        if value not in range(size):
            raise ConfigError(f"--code {word}: the values of code {number} are 0 to {size - 1}")
        return (value + 0.5) / size
    if abs(value) > 1:
        raise ConfigError(f"--code {word}: the values of code {number} are from -1 to 1")
    return (value + 1) / 2


def _noise(share: float) -> float:
    """The inverse of the normal distribution function, its ends too."""
    if share in (0, 1):
        return math.copysign(math.inf, share - 0.5)
    return NormalDist().inv_cdf(share)
