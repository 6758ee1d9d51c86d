"""The plan of a build: which picture becomes which record of which shard.

It is a pure function of the source's listing and the options, not of the workers: any number of
them, stopped and started any number of times, write the same bytes.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from pydantic import BaseModel, ConfigDict

from progan.datasets.format.options import Options
from progan.datasets.names import printable
from progan.datasets.order import sample_indices
from progan.datasets.sources.source import Source

# A shard of the top resolution is at most about this large ...
_SHARD_BYTES = 512 << 20
_MOST_RECORDS = 8192
# ... and smaller if there would be too few shards to distribute among workers.
_SHARDS_WANTED = 64
_FEWEST_RECORDS = 32


class Plan(BaseModel):
    """Written to `plan.json` at the start; the records of finished jobs hold its hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    listing: str
    """Hash of the names, sizes and labels of the source's pictures."""
    classes: list[str] | None
    num_pictures: int
    resolution: int
    channels: int
    records_per_shard: int
    options: Options

    @property
    def hash(self) -> str:
        """Identifies the plan."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def num_shards(self) -> int:
        """All but the last have `records_per_shard` records."""
        return -(-self.num_pictures // self.records_per_shard)

    def samples(self, shard: int) -> range:
        """The samples of one shard."""
        first = shard * self.records_per_shard
        return range(first, min(first + self.records_per_shard, self.num_pictures))

    def pictures(self) -> list[int]:
        """The number of the source's picture for each sample."""
        samples = np.arange(self.num_pictures, dtype=np.int64)
        # The same permutation as for an epoch of training, with a key of its own.
        order = sample_indices(
            samples, num_samples=self.num_pictures, seed=self.options.shuffle_seed, resolution=0
        )
        return [int(picture) for picture in order]


def make_plan(source: Source, resolution: int, options: Options, channels: int) -> Plan:
    """Plan a data set of every picture of `source`."""
    return Plan(
        source=printable(source.title),
        listing=_hash(_listing(source)),
        classes=None if source.classes is None else list(source.classes),
        num_pictures=len(source.entries),
        resolution=resolution,
        channels=channels,
        records_per_shard=records_per_shard(len(source.entries), resolution, channels),
        options=options,
    )


def records_per_shard(num_pictures: int, resolution: int, channels: int) -> int:
    """A power of two from 32 to 8192: large shards, but at least 64 of them if possible."""
    encoded = max(1, channels * resolution**2 // 2)  # lossless WebP halves photographs
    fitting = min(_power_of_two(_SHARD_BYTES // encoded), _MOST_RECORDS)
    shared = _power_of_two(num_pictures // _SHARDS_WANTED)
    return max(_FEWEST_RECORDS, min(fitting, shared))


def _power_of_two(number: int) -> int:
    """The largest power of two up to `number`; 1 for 0."""
    return 1 << max(number.bit_length() - 1, 0)


def _listing(source: Source) -> Iterator[str]:
    labels = source.labels or [None] * len(source.entries)
    for entry, label in zip(source.entries, labels, strict=True):
        yield f"{entry.name}\t{entry.size}\t{label}\n"
    yield source.version


def _hash(lines: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
