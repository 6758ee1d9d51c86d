"""`manifest.json`: the contents of a data set. It is written last: a data set that has it is
complete."""

import hashlib
import json
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt

from progan.datasets.errors import DataError, NoDataSetError
from progan.datasets.files import parse_json, write_json
from progan.datasets.format.location import Location, absolute, is_url, join
from progan.datasets.format.options import Options
from progan.datasets.format.storage import open_storage

NAME = "manifest.json"
PLAN = "plan.json"
"""The plan of the build; a data set has it from the start"""
SCHEMA: Literal[1] = 1
KINDS = {1: "grey", 3: "RGB", 4: "RGB and alpha"}
"""What pictures are, by their number of channels"""


def _known_channels(channels: int) -> int:
    if channels not in KINDS:
        raise ValueError("choose 1, 3 or 4")
    return channels


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Versions(_Frozen):
    """The programs that wrote the data set."""

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
    """The source of the pictures."""

    name: str
    fingerprint: str
    """Over the sorted names and the contents of the source's files."""


class Manifest(_Frozen):
    """A data set: the same samples in the same shards at every resolution."""

    schema_version: Literal[1] = SCHEMA
    fingerprint: str
    """Hash of pixels, labels and order of the samples, independent of the codec. A run stores
    it and refuses to resume with another data set."""
    plan: str
    """Hash of the plan of the build."""
    versions: Versions
    source: Source
    options: Options
    channels: Annotated[int, AfterValidator(_known_channels)]
    num_samples: PositiveInt
    rejected: int = 0
    """Files that could not be read, listed with their reasons in `rejected.csv`."""
    too_small: int = 0
    """Pictures skipped because of their size, also listed in `rejected.csv`."""
    enlarged: int = 0
    """Samples from pictures with fewer pixels than the top resolution."""
    classes: list[str] | None
    """Class names by label; None without labels."""
    class_counts: list[int] | None
    levels: dict[int, Annotated[list[Shard], Field(min_length=1)]] = Field(min_length=1)
    """The shards of each resolution."""

    @property
    def resolutions(self) -> list[int]:
        """Ascending, from 4."""
        return sorted(self.levels)

    @property
    def pictures(self) -> str:
        """Identifies the pictures and labels, in their order, whatever resolution they have here.

        Lower levels are means of the top level. So the same pictures prepared larger are slightly
        other pixels at every level, and have another `fingerprint`.
        """
        options = self.options.model_dump(mode="json", exclude={"codec", "draft"})
        known = self.source.fingerprint, self.num_samples, self.channels, options
        text = json.dumps([*known, self.classes, self.class_counts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def require(self, resolution: int, path: Location) -> list[Shard]:
        """The shards of one resolution. Raises DataError when the data set at `path` lacks it."""
        if resolution not in self.levels:
            have = self.resolutions
            raise DataError(
                f"the data set {path} holds {have[0]} to {have[-1]} pixels, not {resolution}: "
                f"make one with: progan prepare SOURCE DATASET --resolution {resolution}"
            )
        return self.levels[resolution]


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a data set, finished or not."""
    for name, keys in ((NAME, {"fingerprint", "levels"}), (PLAN, {"listing", "records_per_shard"})):
        try:
            content = parse_json((folder / name).read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and keys <= content.keys():
            return True
    return False


def shard_name(resolution: int, name: str) -> str:
    """The path of a shard, relative to its data set."""
    return f"{resolution:04d}/{name}"


def shard_path(dataset: Path, resolution: int, name: str) -> Path:
    """The path of a shard of a data set in a folder."""
    return dataset / shard_name(resolution, name)


def load_manifest(dataset: Location) -> Manifest:
    """Read a data set's manifest. Raises NoDataSetError; DataError if it is damaged or too new."""
    path = join(dataset, NAME)
    storage = open_storage(dataset)
    try:
        (text,) = storage.read_all([NAME])
    except (FileNotFoundError, NotADirectoryError) as error:
        there = not is_url(dataset) and Path(absolute(dataset)).is_dir()
        why = "holds no finished data set" if there else "does not exist"
        raise NoDataSetError(
            f"{dataset} {why}: make one with: progan prepare SOURCE {shlex.quote(str(dataset))}"
        ) from error
    finally:
        storage.close()
    try:
        content: Any = parse_json(text)
        if isinstance(content, dict) and content.get("schema_version") != SCHEMA:
            raise DataError(
                f"{path} has schema version {content.get('schema_version')!r}, this progan reads "
                f"{SCHEMA}: prepare the data set again, or use the progan that made it"
            )
        return Manifest.model_validate_json(text)
    except ValueError as error:  # ValidationError too
        first = str(error).splitlines()[0]
        raise DataError(f"{path} is damaged ({first}): prepare the data set again") from error


def save_manifest(dataset: Path, manifest: Manifest) -> None:
    """Write the manifest, which completes the data set."""
    write_json(dataset / NAME, manifest.model_dump(mode="json"))
