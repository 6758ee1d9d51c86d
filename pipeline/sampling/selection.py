"""Seeds as people write them: 0-63,100; no torch."""

import difflib
import math
import re
from collections.abc import Sequence
from statistics import NormalDist

from progan.pipeline.errors import ConfigError
from progan.stages.specs.model import CodesSpec

MOST = 1_000_000


def parse_seeds(text: str) -> list[int]:
    """`0-2,7` -> [0, 1, 2, 7], in the order written. ConfigError if it means nothing."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", part)
        if match is None:
            raise ConfigError(f"--seeds {text}: {part.strip() or 'an empty part'!r} is neither a "
                              "number nor a range; write them like 0-63,100")  # fmt: skip
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ConfigError(f"--seeds {text}: {part.strip()} goes backwards")
        if last - first >= MOST - len(seeds):
            raise ConfigError(f"--seeds {text}: these are more than {MOST:,}")
        seeds += range(first, last + 1)
    return seeds


SHOWN = 12


def class_number(wanted: str, names: Sequence[str]) -> int:
    """The label of a class given by its name or its label. ConfigError if there is none such."""
    if not names:
        raise ConfigError(f"--class {wanted}: this generator was not trained with classes")
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    close = difflib.get_close_matches(wanted, names, n=1)
    meant = f"did you mean {close[0]}?" if close else f"there are {len(names)}: {shown}"
    raise ConfigError(f"--class {wanted}: no such class; {meant}")


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
