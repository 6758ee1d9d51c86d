"""`progan prepare`: pictures -> pyramid of shards, in parallel and restartable."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from progan.datasets.build.card import write_card
from progan.datasets.build.executors import open_workers
from progan.datasets.build.plan import Plan, make_plan
from progan.datasets.build.pyramid import resolutions
from progan.datasets.build.reject_log import REJECTED, RejectCounts
from progan.datasets.build.shard_job import FinishedShard, ShardJob, build_shard, read_finished
from progan.datasets.build.size_estimate import expected_bytes, require_space
from progan.datasets.build.versions import current_versions
from progan.datasets.errors import DataError
from progan.datasets.files import some_of, sweep_temporary, write_json
from progan.datasets.format.manifest import (
    NAME,
    PLAN,
    Manifest,
    Source,
    is_dataset,
    save_manifest,
)
from progan.datasets.format.options import Options
from progan.datasets.processors import processors
from progan.datasets.sources.listing import Scratch
from progan.datasets.sources.source import Source as Pictures
from progan.datasets.sources.source import open_source

SCRATCH = "source.tmp"
"""Folder in an unfinished data set: copies of URLs and of the output of commands."""
# Sources that need no large mapped memory: a worker with a memory limit can read them.
_PLAIN_FILES = ("folder", "zip", "tar", "webdataset")


class Progress(NamedTuple):
    """The progress of a build, in pictures and in bytes of shards."""

    pictures_done: int
    """Processed, whether they became samples or not."""
    pictures_total: int
    bytes_written: int
    bytes_expected: int
    """Estimate for the finished data set; 0 if nothing was left to do."""
    rejected: int


Report = Callable[[Progress], None]


def prepare(
    source: str | Path,
    dataset: Path,
    resolution: int,
    *,
    channels: int = 3,
    options: Options | None = None,
    source_kind: str | None = None,
    labels: str | Path | None = None,
    extensions: Sequence[str] = (),
    max_rejected: float = 0.05,
    picture_seconds: float = 60,
    workers: int | None = None,
    executor: Executor | str | None = None,
    report: Report = lambda progress: None,
    report_copy: Callable[[str], None] = lambda url: None,
    note: Callable[[str], None] = lambda line: None,
) -> Manifest:
    """Build a data set of every picture in `source`, at 4 to `resolution` pixels.

    Called again after an interruption, it resumes; called for a finished data set, it checks that
    all files exist. `source_kind`, `labels`, `extensions`, `note`: see `open_source`.
    `max_rejected` is the fraction of all files that may be unusable. `workers` is the number of
    processes, by default one for each processor; `executor` replaces them by any executor or by a
    Dask cluster, given its scheduler's address.
    `report` is called at the start and after every shard, `report_copy` with every URL or command
    that is about to be copied. Raises DataError for any error of the source, the target, the
    resolution or the workers.
    """
    _check(resolution, channels, options or Options())
    dataset = dataset.expanduser().absolute()
    _require_dataset_folder(dataset, source)
    scratch = Scratch(dataset / SCRATCH, report_copy)
    pictures = open_source(source, labels, scratch, source_kind, extensions, note)
    plan = make_plan(pictures, resolution, options or Options(), channels)
    with _claimed(dataset, plan):
        rejects = RejectCounts(plan.source, plan.num_pictures, pictures.rejected)
        done = _finished(dataset, plan)
        for finished in done.values():
            rejects.add(finished)
        rejects.check(dataset, max_rejected)
        if missing := plan.num_shards - len(done):
            (dataset / NAME).unlink(missing_ok=True)  # a file that it lists is missing
            expected = expected_bytes(pictures, plan, picture_seconds)
            require_space(dataset, expected * missing // plan.num_shards)
            report(_progress(plan, done, expected, rejects))
            remaining = Remaining(dataset, plan, pictures, done, picture_seconds)
            for shard, finished in _build(remaining, executor, workers):
                done[shard] = finished
                rejects.add(finished)
                rejects.check(dataset, max_rejected)
                report(_progress(plan, done, expected, rejects))
        else:
            report(_progress(plan, done, 0, rejects))
        rejects.write(dataset)
        manifest = _manifest(plan, [done[shard] for shard in range(plan.num_shards)], rejects)
        write_card(dataset, manifest)
        save_manifest(dataset, manifest)
        shutil.rmtree(scratch.folder, ignore_errors=True)
    return manifest


def _check(resolution: int, channels: int, options: Options) -> None:
    try:
        resolutions(resolution)
    except ValueError as error:
        raise DataError(f"{error}: choose 4, 8, 16 ... 512 or 1024") from error
    if channels not in (1, 3, 4):
        raise DataError(f"{channels} channels: choose 1 (grey), 3 (RGB) or 4 (RGB and alpha)")
    if channels == 4 and options.codec == "jpeg":
        raise DataError("JPEG has no alpha: choose another codec, or 3 channels")


def _require_dataset_folder(path: Path, source: str | Path) -> None:
    """Raise DataError if `path` holds something else, or lies in the source or in a data set."""
    pictures = Path(source).expanduser().absolute()
    if pictures in (path, *path.parents):
        raise DataError(f"{path} lies in the source {source}: choose a folder outside it")
    if outer := next(filter(is_dataset, path.parents), None):
        raise DataError(f"{path} lies in the data set {outer}: choose a folder outside it")
    if not path.exists() or (path / PLAN).is_file():
        return
    if not path.is_dir():
        raise DataError(f"{path} is a file: choose a folder")
    if found := sorted(p.name for p in path.iterdir() if not p.name.endswith(".tmp")):
        raise DataError(f"{path} is not a data set: it holds {some_of(found)}; choose a new folder")


@contextmanager
def _claimed(dataset: Path, plan: Plan) -> Iterator[None]:
    """Make `dataset` the folder of this plan. Raises DataError if it holds another data set, or if
    another process is building it."""
    path = dataset / PLAN
    dataset.mkdir(parents=True, exist_ok=True)
    with _locked(dataset):
        if not path.is_file():
            write_json(path, plan.model_dump(mode="json"))
        try:
            other = Plan.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise DataError(f"{path} is damaged: remove {dataset} or choose another") from error
        if other != plan:
            shutil.rmtree(dataset / SCRATCH, ignore_errors=True)
            raise DataError(
                f"{dataset} is another data set ({other.num_pictures} pictures of {other.source} "
                f"at {other.resolution}), its source has changed, or its options were others: "
                "remove it or choose another folder"
            )
        sweep_temporary(dataset)
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder. The system releases it when this process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                f"another process is preparing {folder}: wait for it or end it"
            ) from error
        except OSError:
            pass  # a file system without locks: the user has to prevent a second build
        yield
    finally:
        os.close(descriptor)


def _finished(dataset: Path, plan: Plan) -> dict[int, FinishedShard]:
    """The finished shards. Compares their checksums unless the whole data set was finished."""
    checksums = not (dataset / NAME).is_file()
    with ThreadPoolExecutor(processors()) as threads:  # hashing releases the GIL
        records = threads.map(
            lambda shard: read_finished(dataset, shard, plan, checksums=checksums),
            range(plan.num_shards),
        )
        return {shard: record for shard, record in enumerate(records) if record}


class Remaining(NamedTuple):
    """The shards that are not yet in `done`."""

    dataset: Path
    plan: Plan
    pictures: Pictures
    done: dict[int, FinishedShard]
    picture_seconds: float

    def jobs(self, *, sandboxed: bool) -> Iterator[ShardJob]:
        """One for each shard."""
        plan, order, versions = self.plan, self.plan.pictures(), current_versions()
        for shard in sorted(set(range(plan.num_shards)) - set(self.done)):
            part = self.pictures.part([order[sample] for sample in plan.samples(shard)])
            yield ShardJob(
                self.dataset, plan, shard, part, versions, self.picture_seconds, sandboxed
            )


def _build(
    remaining: Remaining, executor: Executor | str | None, workers: int | None
) -> Iterator[tuple[int, FinishedShard]]:
    """Build every shard; yield (shard, record) as they finish, in any order.

    After the death of a worker process, which a picture may have caused, each worker decodes in a
    process of its own.
    """
    for sandboxed in (remaining.pictures.kind in _PLAIN_FILES, False):
        try:
            with open_workers(executor, workers, sandboxed=sandboxed) as pool:
                jobs = remaining.jobs(sandboxed=pool.sandboxed)
                yield from _run(pool.executor, 2 * pool.num, jobs)
            return
        except BrokenExecutor as error:
            if not sandboxed:
                raise DataError(
                    "a worker process died, perhaps for lack of memory: run the same command "
                    "again (finished shards are kept), with fewer workers"
                ) from error


def _run(
    pool: Executor, most: int, jobs: Iterator[ShardJob]
) -> Iterator[tuple[int, FinishedShard]]:
    """Submits at most `most` jobs at once: a data set may have thousands of shards."""
    running: dict[Future[FinishedShard], int] = {}
    try:
        while True:
            for job in islice(jobs, most - len(running)):
                running[pool.submit(build_shard, job)] = job.shard
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    finally:
        for future in running:
            future.cancel()


def _progress(
    plan: Plan, done: dict[int, FinishedShard], expected: int, rejects: RejectCounts
) -> Progress:
    return Progress(
        pictures_done=sum(len(d.samples) + len(d.left_out) for d in done.values()),
        pictures_total=plan.num_pictures,
        bytes_written=sum(record.num_bytes for record in done.values()),
        bytes_expected=expected,
        rejected=rejects.rejected,
    )


def _manifest(plan: Plan, done: list[FinishedShard], rejects: RejectCounts) -> Manifest:
    """The manifest of all shards, given in order."""
    samples = [sample for record in done for sample in record.samples]
    if not samples:
        raise DataError(
            f"no picture of {plan.source} can be used: {REJECTED} says why; --small upscale keeps "
            "pictures that are too small"
        )
    counts = None
    if plan.classes is not None:
        counts = [0] * len(plan.classes)
        for sample in samples:
            counts[sample.label] += 1
    contents = sorted(f"{sample.name}\t{sample.sha256}\n" for sample in samples)
    classes = [f"class\t{name}\n" for name in plan.classes or []]
    shape = f"{plan.resolution}\t{plan.channels}\t{plan.records_per_shard}\n"
    return Manifest(
        fingerprint=_fingerprint([shape, *classes, *(f"{record.pixels}\n" for record in done)]),
        plan=plan.hash,
        versions=current_versions(),
        source=Source(name=plan.source, fingerprint=_fingerprint(contents)),
        options=plan.options,
        channels=plan.channels,
        num_samples=len(samples),
        rejected=rejects.rejected,
        too_small=rejects.too_small,
        enlarged=sum(record.enlarged for record in done),
        classes=plan.classes,
        class_counts=counts,
        levels={r: [record.levels[r] for record in done] for r in resolutions(plan.resolution)},
    )


def _fingerprint(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()
