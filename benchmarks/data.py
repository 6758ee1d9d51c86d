"""Speed of building and reading data sets, compared with other programs in the same run.

    python benchmarks/data.py build PICTURES [--peer dataset_tool.py]
    python benchmarks/data.py read PICTURES
    python benchmarks/data.py resume PICTURES

PICTURES is a zip or a folder of photographs. `--peer` is StyleGAN3's dataset_tool.py, which writes
one resolution from one process; we write all of them. `read` compares with a plain `webdataset`
pipeline over the same shards. Other programs may run on the machine, so the rounds of both are
interleaved, and the tables show medians, and processor seconds, which depend less on the load.
"""

import argparse
import io
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import webdataset
from PIL import Image
from rich.console import Console
from rich.table import Table

from progan.datasets.build.prepare import prepare
from progan.datasets.format.manifest import load_manifest
from progan.datasets.loader import Batches
from progan.datasets.sources.source import open_source
from progan.datasets.spec import DataSpec

BATCH = {4: 512, 16: 512, 64: 256, 256: 32, 1024: 8}
SECONDS = 2.0
"""Duration of one measurement."""


def copies_of(pictures: Path, target: Path, copies: int) -> int:
    """Write a zip with every picture several times, as RGB JPEG, which the peer accepts too."""
    source = open_source(pictures)
    with zipfile.ZipFile(target, "w") as archive:
        for number, name in enumerate(source.names):
            data = source.read(number)
            with Image.open(io.BytesIO(data)) as image:
                if image.mode != "RGB":
                    buffer = io.BytesIO()
                    image.convert("RGB").save(buffer, "JPEG", quality=95)
                    data = buffer.getvalue()
            for copy in range(copies):
                archive.writestr(f"{copy}-{Path(name).stem}.jpg", data)
    return copies * len(source.names)


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """(seconds, processor seconds of the child processes) of an action."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, used


def command(*arguments: object) -> Callable[[], object]:
    """An action that runs a program to its end; its output appears only in errors."""
    words = [sys.executable, *map(str, arguments)]
    return lambda: subprocess.run(words, check=True, capture_output=True)


def build(pictures: Path, folder: Path, peer: Path | None, copies: int, rounds: int) -> Table:
    """Builds at 256 pixels of few and of many photographs; their difference is the cost of one."""
    ours, theirs = folder / "ours", folder / "theirs.zip"
    program = Path(sys.executable).with_name("progan")

    def actions(archive: Path) -> dict[str, Callable[[], object]]:
        prepare_it = (program, "prepare", archive, ours, "--resolution", 256, "--workers")
        found = {f"progan, 4 to 256, {n} workers": command(*prepare_it, n) for n in (2, 1)}
        if peer:
            found["StyleGAN3's tool, 256 only, 1 process"] = command(
                peer, "--source", archive, "--dest", theirs,
                "--resolution", "256x256", "--transform", "center-crop",
            )  # fmt: skip
        return found

    archives = {
        copies_of(pictures, folder / f"{n}.zip", n): folder / f"{n}.zip" for n in (1, copies)
    }
    few, many = archives
    taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for count, archive in archives.items():
            for name, action in actions(archive).items():
                shutil.rmtree(ours, ignore_errors=True)
                theirs.unlink(missing_ok=True)
                taken.setdefault((name, count), []).append(timed(action))
    table = Table(title=f"building, {many} photographs, median of {rounds} rounds")
    headings = ("", "pictures/s", "min-max", "processor ms a picture", "one more picture")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    for name in actions(folder):
        speeds = sorted(many / seconds for seconds, _ in taken[name, many])
        used = {n: statistics.median(1000 * cpu for _, cpu in taken[name, n]) for n in archives}
        table.add_row(
            name,
            f"{statistics.median(speeds):.0f}",
            f"{speeds[0]:.0f}-{speeds[-1]:.0f}",
            f"{used[many] / many:.1f}",
            f"{(used[many] - used[few]) / (many - few):.1f}",
        )
    return table


class Pace(NamedTuple):
    """Speed of a reader."""

    by_clock: float
    """Pictures/s."""
    by_processor: float
    """Pictures per second of processor time of this process."""


def pace(batches: Iterator[torch.Tensor]) -> Pace:
    """The speed of an iterator over batches, after a warm-up."""
    next(batches)
    shown, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < SECONDS:
        shown += len(next(batches))
    return Pace(shown / (time.perf_counter() - began), shown / (time.process_time() - used + 1e-9))


def plain_webdataset(dataset: Path, resolution: int, workers: int) -> Pace:
    """As in its documentation: shuffled shards, a shuffle buffer of 1000, float batches."""
    shards = sorted(str(path) for path in (dataset / f"{resolution:04d}").glob("*.tar"))
    library: Any = webdataset
    pipeline = (
        library.WebDataset(shards, shardshuffle=100)
        .shuffle(1000, initial=100)
        .decode("torchrgb")
        .to_tuple("webp")
        .repeat()
    )
    loader: Any = library.WebLoader(pipeline, batch_size=BATCH[resolution], num_workers=workers)
    batches = (images.mul_(2).sub_(1) for (images,) in loader)
    return pace(batches)


def ours(dataset: Path, resolution: int, threads: int, cache_gb: float) -> Pace:
    """Our reader; a cache is filled before the measurement."""
    spec = DataSpec(path=dataset, cache_gb=cache_gb, threads=threads)
    batch = BATCH[resolution]
    with Batches(spec, resolution, seed=0, batch=batch, rank=0, world_size=1) as batches:
        if cache_gb:
            for start in range(0, batches.num_samples, batch):
                batches.fixed(start, batch)
        return pace(reals.images for reals in batches)


def read(pictures: Path, folder: Path, rounds: int) -> Table:
    """Reading of shuffled float batches."""
    dataset = folder / "read"
    prepare(pictures, dataset, 1024)
    table = Table(title=f"reading, images/s, median of {rounds} rounds")
    for heading in ("size", "", "webdataset", "ours", "", "ours, cached", ""):
        table.add_column(heading, justify="right")
    for resolution in BATCH:
        measures = {
            "webdataset, 0 workers": partial(plain_webdataset, dataset, resolution, 0),
            "1 thread": partial(ours, dataset, resolution, 1, 0),
            "1 thread, cached": partial(ours, dataset, resolution, 1, 4),
            "webdataset, 2 workers": partial(plain_webdataset, dataset, resolution, 2),
            "2 threads": partial(ours, dataset, resolution, 2, 0),
            "2 threads, cached": partial(ours, dataset, resolution, 2, 4),
        }
        found: dict[str, list[Pace]] = {name: [] for name in measures}
        for _ in range(rounds):
            for name, measure in measures.items():
                found[name].append(measure())
        clock = [statistics.median(p.by_clock for p in paces) for paces in found.values()]
        used = [statistics.median(p.by_processor for p in paces) for paces in found.values()]
        for row, (peer, plain, cached) in {
            "one, by the clock": clock[:3],
            "one, by processor time": used[:3],
            "two, by the clock": clock[3:],
        }.items():
            ratios = [f"{plain / peer:.2f}x", f"{cached / peer:.1f}x"]
            cells = [f"{peer:,.0f}", f"{plain:,.0f}", ratios[0], f"{cached:,.0f}", ratios[1]]
            table.add_row(str(resolution), row, *cells)
    return table


def resume(pictures: Path, folder: Path, rounds: int) -> Table:
    """Time from opening a data set to the first batch."""
    dataset = folder / "resume"
    prepare(pictures, dataset, 32)
    samples = load_manifest(dataset).num_samples
    places = {"0": 0, "95 % of an epoch": int(0.95 * samples), "10^8": 10**8}

    def first(position: int) -> tuple[float, float]:
        """(milliseconds, milliseconds of processor time)"""
        from progan.datasets import order

        order._epoch_order.cache_clear()  # a new process has none
        began, used = time.perf_counter(), time.process_time()
        spec = DataSpec(path=dataset)
        with Batches(
            spec, 32, seed=0, batch=64, rank=0, world_size=1, position=position
        ) as batches:
            next(batches)
            return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - used)

    first(0)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in places}
    for _ in range(5 * rounds):
        for name, position in places.items():
            found[name].append(first(position))
    title = f"first batch of 64 at 32 px, {samples:,} samples, median of {5 * rounds}"
    table = Table(title=title)
    for heading in ("position", "ms", "processor ms"):
        table.add_column(heading, justify="right")
    for name, values in found.items():
        medians = (statistics.median(column) for column in zip(*values, strict=True))
        table.add_row(name, *(f"{value:.1f}" for value in medians))
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["build", "read", "resume"])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--peer", type=Path, help="StyleGAN3's dataset_tool.py")
    parser.add_argument("--copies", type=int, default=4, help="of every picture, to build longer")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="progan-benchmark-") as name:
        folder = Path(name)
        if arguments.what == "build":
            table = build(
                arguments.pictures, folder, arguments.peer, arguments.copies, arguments.rounds
            )
        else:
            action = {"read": read, "resume": resume}[arguments.what]
            table = action(arguments.pictures, folder, arguments.rounds)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
