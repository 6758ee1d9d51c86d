"""`manifest.json`: what a data set holds. It is written last, so where it is, all the rest is."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from progan.datasets.errors import DataError
from progan.datasets.files import write_json
from progan.datasets.format.location import Location, absolute, is_url, join, open_storage
from progan.datasets.format.options import Options

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

    def require(self, resolution: int, path: Location) -> list[Shard]:
        """The shards of one resolution. Raises DataError when the data set at `path` lacks it."""
        if resolution not in self.levels:
            have = self.resolutions
            raise DataError(
                f"the data set {path} holds {have[0]} to {have[-1]} pixels, not {resolution}: "
                f"make one with: progan prepare SOURCE DATASET --resolution {resolution}"
            )
        return self.levels[resolution]


def shard_name(resolution: int, name: str) -> str:
    """Where a shard lies in its data set."""
    return f"{resolution:04d}/{name}"


def shard_path(dataset: Path, resolution: int, name: str) -> Path:
    """Where a shard lies in a folder."""
    return dataset / shard_name(resolution, name)


def load_manifest(dataset: Location) -> Manifest:
    """Read a data set's manifest. Raises DataError when there is none, or none we understand."""
    path = join(dataset, NAME)
    storage = open_storage(dataset)
    try:
        (text,) = storage.read_all([NAME])
    except (FileNotFoundError, NotADirectoryError) as error:
        there = not is_url(dataset) and Path(absolute(dataset)).is_dir()
        why = "holds no finished data set" if there else "does not exist"
        raise DataError(
            f"{dataset} {why}: make one with: progan prepare SOURCE {dataset}"
        ) from error
    finally:
        storage.close()
    try:
        content: Any = json.loads(text)
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
