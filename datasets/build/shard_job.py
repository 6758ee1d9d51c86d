"""The job of a worker: build one shard at every resolution.

A job depends on its arguments only, so that it can run in any process. Imports no torch.
"""

import hashlib
import platform
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from progan.datasets.build.plan import Plan
from progan.datasets.build.pyramid import resolutions
from progan.datasets.build.sandboxed_decoder import (
    Levels,
    SandboxedDecoder,
    Settings,
    levels_with_alarm,
)
from progan.datasets.build.versions import current_versions
from progan.datasets.errors import DataError, TooSmall, UnusablePicture
from progan.datasets.files import sha256_file, write_whole
from progan.datasets.format.codec import codec_for
from progan.datasets.format.manifest import Shard, Versions, shard_path
from progan.datasets.format.npy import npy_bytes
from progan.datasets.format.shards import NO_LABEL, ShardWriter, shard_writers
from progan.datasets.names import printable
from progan.datasets.sources.source import Source


class Sample(BaseModel):
    """The source of a sample."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    """SHA-256 of the source's file."""
    label: int


class LeftOut(BaseModel):
    """A picture that did not become a sample."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    reason: str
    too_small: bool = False
    """A usable picture otherwise: not counted as rejected."""


class FinishedShard(BaseModel):
    """The record of a finished job, `done/000000.json`: written last, read at a restart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: str
    levels: dict[int, Shard]
    pixels: str
    """Hash of the pixels at the top resolution and of the labels, independent of the codec."""
    samples: list[Sample]
    left_out: list[LeftOut]
    enlarged: int

    @property
    def num_bytes(self) -> int:
        """Size of the tar files."""
        return sum(shard.bytes for shard in self.levels.values())


class ShardJob(NamedTuple):
    """All that a worker needs to build a shard."""

    dataset: Path
    plan: Plan
    shard: int
    source: Source
    """The pictures of this shard only."""
    versions: Versions
    """Those of the process that started the build: others could write other bytes."""
    picture_seconds: float
    sandboxed: bool
    """Whether the worker is sandboxed and so decodes in its own process."""


def decoder_settings(plan: Plan, picture_seconds: float) -> Settings:
    """The settings of the plan's decoders."""
    return Settings(plan.resolution, plan.channels, plan.options, picture_seconds)


def crop_key(plan: Plan, name: str) -> int:
    """Seed of the random crop of a picture, independent of its shard."""
    text = f"{plan.options.shuffle_seed}\t{printable(name)}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def done_path(dataset: Path, shard: int) -> Path:
    """The path of the record of a finished job."""
    return dataset / "done" / f"{shard:06d}.json"


def read_finished(
    dataset: Path, shard: int, plan: Plan, *, checksums: bool
) -> FinishedShard | None:
    """The record of a finished job; None if it or one of its files is missing or has changed.

    Compares the checksums of the files, or without `checksums` their sizes only.
    """
    try:
        done = FinishedShard.model_validate_json(done_path(dataset, shard).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    if done.plan != plan.hash:
        return None
    for resolution, entry in done.levels.items():
        tar = shard_path(dataset, resolution, entry.name)
        index = tar.with_suffix(".npy")
        if not tar.is_file() or tar.stat().st_size != entry.bytes or not index.is_file():
            return None
        if checksums and (
            sha256_file(tar) != entry.sha256 or sha256_file(index) != entry.index_sha256
        ):
            return None
    return done


def build_shard(job: ShardJob) -> FinishedShard:
    """Write one shard at every resolution. Decodes each picture once.

    Leaves out unusable pictures. Raises DataError for a picture that is too small if the options
    forbid it, and on a machine with other versions of the libraries than the job's.
    """
    if current_versions() != job.versions:
        raise DataError(
            f"{platform.node()} has {current_versions()}, the build began with {job.versions}: "
            "install the same, or the result would depend on who computed it"
        )
    plan, pixels = job.plan, hashlib.sha256()
    samples: list[Sample] = []
    left_out: list[LeftOut] = []
    enlarged = 0
    paths = {r: _tar(job.dataset, r, job.shard) for r in resolutions(plan.resolution)}
    with shard_writers(list(paths.values())) as opened:
        writers = dict(zip(paths, opened, strict=True))
        extensions = {r: codec_for(plan.options.codec, r).extension for r in paths}
        for number, sample, result in _decoded(job):
            if isinstance(result, LeftOut):
                left_out.append(result)
                continue
            for resolution, data in result.encoded.items():
                writers[resolution].add(number, extensions[resolution], data, sample.label)
            pixels.update(f"{result.sha256}\t{sample.label}\n".encode())
            samples.append(sample)
            enlarged += result.enlarged
    done = FinishedShard(
        plan=plan.hash,
        levels={r: _entry(path, writers[r]) for r, path in paths.items()},
        pixels=pixels.hexdigest(),
        samples=samples,
        left_out=left_out,
        enlarged=enlarged,
    )
    write_whole(done_path(job.dataset, job.shard), done.model_dump_json().encode())
    return done


def _decoded(job: ShardJob) -> Iterator[tuple[int, Sample, Levels | LeftOut]]:
    """(sample's number, its source, its levels or the reason why it has none), in order."""
    source = job.source
    settings = decoder_settings(job.plan, job.picture_seconds)
    decode: Callable[[bytes, int], Levels] = partial(levels_with_alarm, settings=settings)
    if not job.sandboxed:
        decode = _decoder(settings).levels
    for place, number in enumerate(job.plan.samples(job.shard)):
        name = source.entries[place].name
        label = NO_LABEL if source.labels is None else source.labels[place]
        data = b""
        result: Levels | LeftOut
        try:
            data = source.read(place)
            result = decode(data, crop_key(job.plan, name))
        except TooSmall as error:
            if job.plan.options.small == "error":
                raise DataError(
                    f"{printable(name)} of {source.title}: {error}. Remove it, or say what to do "
                    "with small pictures: --small upscale or --small skip"
                ) from error
            result = LeftOut(name=printable(name), reason=str(error), too_small=True)
        except UnusablePicture as error:
            result = LeftOut(name=printable(name), reason=printable(str(error)))
        digest = hashlib.sha256(data).hexdigest()
        yield number, Sample(name=printable(name), sha256=digest, label=label), result


_decoders = threading.local()


def _decoder(settings: Settings) -> SandboxedDecoder:
    """This thread's decoder, kept from job to job."""
    if getattr(_decoders, "settings", None) != settings:
        _decoders.settings, _decoders.decoder = settings, SandboxedDecoder(settings)
    decoder: SandboxedDecoder = _decoders.decoder
    return decoder


def _tar(dataset: Path, resolution: int, shard: int) -> Path:
    return shard_path(dataset, resolution, f"{shard:06d}.tar")


def _entry(path: Path, writer: ShardWriter) -> Shard:
    return Shard(
        name=path.name,
        num_samples=len(writer.index),
        bytes=writer.num_bytes,
        sha256=writer.sha256,
        index_sha256=hashlib.sha256(npy_bytes(writer.index)).hexdigest(),
    )
