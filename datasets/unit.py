"""One unit of work: one shard at every resolution, from decoded pictures to files that are done.

Runs in a worker process that knows nothing but its arguments, and imports no torch.
"""

import hashlib
from contextlib import ExitStack
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from progan.datasets.codec import CODECS
from progan.datasets.errors import DataError
from progan.datasets.files import write_whole
from progan.datasets.manifest import Shard, shard_path
from progan.datasets.picture import UnusablePicture, square_picture
from progan.datasets.plan import Plan
from progan.datasets.pyramid import pyramid, resolutions
from progan.datasets.shards import NO_LABEL, ShardWriter, index_bytes, shard_writer
from progan.datasets.sources import Source


class Sample(BaseModel):
    """Where a sample came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    """Of the source's file."""
    label: int


class Done(BaseModel):
    """The record of a finished unit, `done/000000.json`: written last, read at a restart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: str
    levels: dict[int, Shard]
    pixels: str
    """Hash of the top pictures and labels, whatever encoded them."""
    samples: list[Sample]

    @property
    def num_bytes(self) -> int:
        """Of the tar files."""
        return sum(shard.bytes for shard in self.levels.values())


def done_path(dataset: Path, shard: int) -> Path:
    """Where the record of a finished unit lies."""
    return dataset / "done" / f"{shard:06d}.json"


def read_done(dataset: Path, shard: int, plan: Plan) -> Done | None:
    """The record of a finished unit; None when it, or a file it tells of, is missing or strange."""
    try:
        done = Done.model_validate_json(done_path(dataset, shard).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    if done.plan != plan.hash:
        return None
    for resolution, entry in done.levels.items():
        tar = shard_path(dataset, resolution, entry.name)
        index = tar.with_suffix(".npy")
        if not tar.is_file() or tar.stat().st_size != entry.bytes or not index.is_file():
            return None
    return done


def build_unit(dataset: Path, plan: Plan, shard: int, source: Source) -> Done:
    """Write shard number `shard`, made of all of `source`, at every resolution.

    Each picture is decoded once. Raises DataError naming the first unreadable one.
    """
    encode, extension = CODECS[plan.options.codec].encode, CODECS[plan.options.codec].extension
    paths = {r: _tar(dataset, r, shard) for r in resolutions(plan.resolution)}
    pixels, samples = hashlib.sha256(), []
    with ExitStack() as stack:
        writers = {r: stack.enter_context(shard_writer(path)) for r, path in paths.items()}
        for place, sample in enumerate(plan.samples(shard)):
            data = source.read(place)
            label = NO_LABEL if source.labels is None else source.labels[place]
            try:
                top = square_picture(data, plan.resolution, plan.options, plan.channels)
            except UnusablePicture as error:
                raise DataError(
                    f"{source.names[place]} of {source.title} is not a usable picture: {error}. "
                    "Repair or remove it, then run the same command again"
                ) from error
            for resolution, level in pyramid(top).items():
                writers[resolution].add(sample, extension, encode(level), label)
            pixels.update(top.tobytes() + label.to_bytes(4, "little", signed=True))
            samples.append(_sample(source.names[place], data, label))
    entries = {r: _entry(path, writers[r]) for r, path in paths.items()}
    done = Done(plan=plan.hash, levels=entries, pixels=pixels.hexdigest(), samples=samples)
    write_whole(done_path(dataset, shard), done.model_dump_json().encode())
    return done


def _tar(dataset: Path, resolution: int, shard: int) -> Path:
    return shard_path(dataset, resolution, f"{shard:06d}.tar")


def _sample(name: str, data: bytes, label: int) -> Sample:
    return Sample(name=name, sha256=hashlib.sha256(data).hexdigest(), label=label)


def _entry(path: Path, writer: ShardWriter) -> Shard:
    return Shard(
        name=path.name,
        num_samples=len(writer.index),
        bytes=writer.num_bytes,
        sha256=writer.sha256,
        index_sha256=hashlib.sha256(index_bytes(writer.index)).hexdigest(),
    )
