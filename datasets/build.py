"""`progan prepare`: pictures -> pyramid of shards, in parallel, restartable."""

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import PIL
from PIL import features
from pydantic import ValidationError

from progan.datasets.errors import DataError
from progan.datasets.files import sweep_temporary, write_json
from progan.datasets.manifest import NAME, Manifest, Options, Source, Versions, save_manifest
from progan.datasets.plan import Plan, make_plan
from progan.datasets.pyramid import resolutions
from progan.datasets.sources import Source as Pictures
from progan.datasets.sources import open_source
from progan.datasets.unit import Done, build_unit, read_done

PLAN = "plan.json"


class Progress(NamedTuple):
    """How far a build is, in pictures and in bytes of shards."""

    pictures_done: int
    pictures_total: int
    bytes_written: int


Report = Callable[[Progress], None]


def prepare(
    source: Path,
    dataset: Path,
    resolution: int,
    *,
    workers: int | None = None,
    report: Report = lambda progress: None,
    options: Options | None = None,
) -> Manifest:
    """Build a data set of every picture in `source`, at 4 to `resolution` pixels.

    Started again it goes on where it stopped; finished, it only looks whether everything is there.
    `workers` counts processes, by default one for each processor. `report` is called after every
    shard. Raises DataError for anything wrong with the source, the target or the resolution.
    """
    try:
        resolutions(resolution)
    except ValueError as error:
        raise DataError(f"{error}: choose 4, 8, 16 ... 512 or 1024") from error
    pictures = open_source(source)
    plan = make_plan(pictures, resolution, options or Options(), channels=3)
    _claim(dataset, plan)
    done: dict[int, Done] = {}
    for shard in range(plan.num_shards):
        if finished := read_done(dataset, shard, plan):
            done[shard] = finished
    report(_progress(plan, done))
    if len(done) < plan.num_shards:
        (dataset / NAME).unlink(missing_ok=True)  # something it promises is gone
        for shard, finished in _build(dataset, plan, pictures, done, workers or _processors()):
            done[shard] = finished
            report(_progress(plan, done))
    manifest = _manifest(plan, [done[shard] for shard in range(plan.num_shards)])
    save_manifest(dataset, manifest)
    return manifest


def _claim(dataset: Path, plan: Plan) -> None:
    """Make `dataset` the folder of this plan. Raises DataError when it holds something else."""
    path = dataset / PLAN
    if path.is_file():
        try:
            other = Plan.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise DataError(f"{path} is damaged: remove {dataset} or choose another") from error
        if other != plan:
            raise DataError(
                f"{dataset} is another data set ({other.num_pictures} pictures of {other.source} "
                f"at {other.resolution}) or its source has changed: remove it or choose another"
            )
        sweep_temporary(dataset)
    elif dataset.exists() and (not dataset.is_dir() or any(dataset.iterdir())):
        raise DataError(f"{dataset} exists and is not a data set: choose another folder")
    else:
        write_json(path, plan.model_dump(mode="json"))


def _build(
    dataset: Path, plan: Plan, pictures: Pictures, done: Iterable[int], workers: int
) -> Iterator[tuple[int, Done]]:
    """Build every shard that is not done; yield (number, record) as they finish."""
    order = plan.pictures()
    missing = iter(sorted(set(range(plan.num_shards)) - set(done)))
    running: dict[Future[Done], int] = {}
    with _processes(workers) as executor:
        while True:
            # Only a few wait in line: a data set may have thousands of shards.
            for shard in islice(missing, 2 * workers - len(running)):
                part = pictures.part([order[sample] for sample in plan.samples(shard)])
                running[executor.submit(build_unit, dataset, plan, shard, part)] = shard
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    """Spawned processes: a decoder that crashes takes one of them with it, not the build."""
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_obey_parent)
    try:
        yield executor
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died, perhaps for lack of memory: run the same command again "
            "(finished shards are kept), with fewer workers"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _obey_parent() -> None:
    """In a worker: end when the main process ends, however it does; at Ctrl-C, without a word.

    Left alone, the workers of a killed process wait for work forever.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _processors() -> int:
    """Those this process may use, which is fewer than the machine's in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _progress(plan: Plan, done: dict[int, Done]) -> Progress:
    pictures = sum(len(record.samples) for record in done.values())
    written = sum(record.num_bytes for record in done.values())
    return Progress(pictures, plan.num_pictures, written)


def _manifest(plan: Plan, done: list[Done]) -> Manifest:
    """Put together what the units wrote, in the order of the shards."""
    samples = [sample for record in done for sample in record.samples]
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
        versions=_versions(),
        source=Source(name=plan.source, fingerprint=_fingerprint(contents)),
        options=plan.options,
        channels=plan.channels,
        num_samples=len(samples),
        classes=plan.classes,
        class_counts=counts,
        levels={r: [record.levels[r] for record in done] for r in resolutions(plan.resolution)},
    )


def _fingerprint(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _versions() -> Versions:
    libwebp = features.version("webp") or "unknown"
    return Versions(progan=version("progan"), pillow=PIL.__version__, libwebp=libwebp)
