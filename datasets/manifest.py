"""`manifest.json`: what a data set holds. It is written last, so where it is, all the rest is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from progan.datasets.errors import DataError
from progan.datasets.files import sha256_file, write_json
from progan.datasets.options import Options

NAME = "manifest.json"
SCHEMA: Literal[1] = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Versions(_Frozen):
    """What made the data set."""

    progan: str
    pillow: str
    libwebp: str


class Shard(_Frozen):
    """One tar file and its index."""

    name: str = Field(pattern=r"^\d{6}\.tar$")
    num_samples: int
    bytes: int
    sha256: str
    index_sha256: str


class Source(_Frozen):
    """Where the pictures came from."""

    name: str
    fingerprint: str
    """Over the sorted names and the contents of the source's files."""


class Manifest(_Frozen):
    """A data set: the same samples in the same shards at every resolution."""

    schema_version: Literal[1] = SCHEMA
    fingerprint: str
    """Names the data set: over the pixels, labels and order of the samples, whatever encoded them.
    Training keeps it and refuses to go on with other pictures."""
    plan: str
    """Hash of what `prepare` was asked to do."""
    versions: Versions
    source: Source
    options: Options
    channels: int
    num_samples: int
    rejected: int = 0
    """Files that could not be read, listed with their reasons in `rejected.csv`."""
    too_small: int = 0
    """Pictures left out because of their size, listed there too."""
    enlarged: int = 0
    """Samples made of pictures with fewer pixels than the top resolution."""
    classes: list[str] | None
    """Names of the classes, by label; None without labels."""
    class_counts: list[int] | None
    levels: dict[int, list[Shard]]
    """The shards of each resolution."""

    @property
    def resolutions(self) -> list[int]:
        """Rising, from 4."""
        return sorted(self.levels)

    def require(self, resolution: int, path: Path) -> list[Shard]:
        """The shards of one resolution. Raises DataError when the data set at `path` lacks it."""
        if resolution not in self.levels:
            have = self.resolutions
            raise DataError(
                f"the data set {path} holds {have[0]} to {have[-1]} pixels, not {resolution}: "
                f"make one with: progan prepare SOURCE DATASET --resolution {resolution}"
            )
        return self.levels[resolution]


def shard_path(dataset: Path, resolution: int, name: str) -> Path:
    """Where a shard lies."""
    return dataset / f"{resolution:04d}" / name


def load_manifest(dataset: Path) -> Manifest:
    """Read a data set's manifest. Raises DataError when there is none, or none we understand."""
    path = dataset / NAME
    if not path.is_file():
        why = "holds no finished data set" if dataset.is_dir() else "does not exist"
        raise DataError(f"{dataset} {why}: make one with: progan prepare SOURCE {dataset}")
    try:
        content: Any = json.loads(path.read_bytes())
        if isinstance(content, dict) and content.get("schema_version") != SCHEMA:
            raise DataError(
                f"{path} has schema version {content.get('schema_version')!r}, this progan reads "
                f"{SCHEMA}: prepare the data set again, or use the progan that made it"
            )
        return Manifest.model_validate(content)
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{path} is damaged ({first}): prepare the data set again") from error


def save_manifest(dataset: Path, manifest: Manifest) -> None:
    """Write the manifest; from now on the data set is there."""
    write_json(dataset / NAME, manifest.model_dump(mode="json"))


def verify(dataset: Path) -> Iterator[str]:
    """Every difference between the manifest and the disk, one line each; nothing if all is well."""
    manifest = load_manifest(dataset)
    for resolution in manifest.resolutions:
        for shard in manifest.levels[resolution]:
            yield from _problems(shard_path(dataset, resolution, shard.name), shard)


def _problems(path: Path, shard: Shard) -> Iterator[str]:
    index = path.with_suffix(".npy")
    if not path.is_file():
        yield f"{path} is missing"
    elif path.stat().st_size != shard.bytes:
        yield f"{path} has {path.stat().st_size} bytes, not {shard.bytes}"
    elif sha256_file(path) != shard.sha256:
        yield f"{path} has changed: its SHA-256 differs"
    if not index.is_file():
        yield f"{index} is missing"
    elif sha256_file(index) != shard.index_sha256:
        yield f"{index} has changed: its SHA-256 differs"
