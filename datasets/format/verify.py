"""Compares every byte of a data set with the checksums in its manifest."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from progan.datasets.errors import DataError
from progan.datasets.format.location import Location, join
from progan.datasets.format.manifest import Manifest, Shard, shard_name
from progan.datasets.format.shards import Index, index_name, intact, parse_index
from progan.datasets.format.storage import Storage, open_storage

_CHUNK_BYTES = 8 << 20


class Verified(NamedTuple):
    """The result for one shard and its index."""

    num_bytes: int
    problems: list[str]
    """One line each; empty if the shard is intact."""


def verify(
    dataset: Location,
    manifest: Manifest,
    report: Callable[[Verified], None] = lambda verified: None,
) -> list[str]:
    """Every difference between the manifest and the files, in the order of the manifest.

    `report` is called after every shard, in the same order.
    """
    storage = open_storage(dataset)
    shards = [(r, shard) for r in manifest.resolutions for shard in manifest.levels[r]]
    problems: list[str] = []
    try:
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # hashing releases the GIL
            for verified in threads.map(lambda pair: _verify(storage, dataset, *pair), shards):
                problems += verified.problems
                report(verified)
    finally:
        storage.close()
    return problems


def _verify(storage: Storage, dataset: Location, resolution: int, shard: Shard) -> Verified:
    name = shard_name(resolution, shard.name)
    index, problems = _index(storage, dataset, name, shard)
    where = join(dataset, name)
    try:
        size, sha256 = _digest(storage, name)
        if size != shard.bytes:
            problems.insert(0, f"{where} has {size} bytes, not {shard.bytes}")
        elif sha256 != shard.sha256:
            damaged = [] if index is None else _damaged(storage, name, index)
            which = f", of records {', '.join(map(str, damaged[:10]))}" if damaged else ""
            problems.insert(0, f"{where} has changed: its SHA-256 differs{which}")
    except FileNotFoundError:
        return Verified(0, [f"{where} is missing", *problems])
    except (OSError, DataError) as error:
        return Verified(0, [f"{where} cannot be read: {error}", *problems])
    return Verified(size, problems)


def _index(
    storage: Storage, dataset: Location, shard: str, expected: Shard
) -> tuple[Index | None, list[str]]:
    """The index of a shard, or None if it is damaged, and its problems."""
    name = index_name(shard)
    where = join(dataset, name)
    try:
        (content,) = storage.read_all([name])
    except FileNotFoundError:
        return None, [f"{where} is missing"]
    except (OSError, DataError) as error:
        return None, [f"{where} cannot be read: {error}"]
    if hashlib.sha256(content).hexdigest() != expected.index_sha256:
        return None, [f"{where} has changed: its SHA-256 differs"]
    return parse_index(content, where), []


def _digest(storage: Storage, name: str) -> tuple[int, str]:
    """(size, SHA-256) of a file."""
    digest, size = hashlib.sha256(), 0
    with storage.open(name) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


def _damaged(storage: Storage, name: str, index: Index) -> list[int]:
    """The records of a shard that differ from its index."""
    damaged = []
    with storage.open(name) as file:
        for number, record in enumerate(index):
            file.seek(int(record["offset"]))
            if not intact(file.read(int(record["size"])), record):
                damaged.append(number)
    return damaged
