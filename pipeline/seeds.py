"""Seeds as people write them: 0-63,100; no torch."""

import re

from progan.pipeline.errors import ConfigError

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
