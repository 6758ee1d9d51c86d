"""How fast data sets are built and read, compared with another program in the same run.

    python benchmarks/data.py build PICTURES [--peer dataset_tool.py]
    python benchmarks/data.py read PICTURES
    python benchmarks/data.py threads PICTURES
    python benchmarks/data.py resume PICTURES

PICTURES is a zip or a folder of photographs. `--peer` is StyleGAN3's dataset_tool.py, which writes
one resolution from one process; progan writes all of them. `read` compares with a plain
`webdataset` pipeline over the same shards, `threads` numbers of our threads. Rounds of all are
interleaved and medians shown, since other programs may run on the machine; so is processor time,
which they disturb less.
"""

import argparse
import io
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
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch
import webdataset
from PIL import Image
from rich.table import Table

from measuring.results import new_table, print_tables
from measuring.timing import time_child_processes
from progan.datasets.build.prepare import prepare
from progan.datasets.format.manifest import load_manifest
from progan.datasets.loader import Batches
from progan.datasets.processors import processors
from progan.datasets.sources.source import open_source
from progan.datasets.spec import DataSpec

BATCH = {4: 512, 16: 512, 64: 256, 256: 32, 1024: 8}
THREADS = 1, 2, 4, 8
SECONDS = 2.0
"""Of one measurement."""


def write_copies(pictures: Path, target: Path, copies: int) -> int:
    """Write a zip with every picture several times, as RGB JPEG so that the peer can read it.

    Returns the number of pictures in it.
    """
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


def command(*arguments: object) -> Callable[[], object]:
    """An action that runs a program to its end and drops its output."""
    words = [sys.executable, *map(str, arguments)]
    return lambda: subprocess.run(words, check=True, capture_output=True)


def build(pictures: Path, folder: Path, peer: Path | None, copies: int, rounds: int) -> Table:
    """Build data sets of 256 pixels from few and from many photographs.

    The difference of the two gives the cost of one more picture.
    """
    ours, theirs = folder / "ours", folder / "theirs.zip"
    program = Path(sys.executable).with_name("progan")

    def actions(archive: Path) -> dict[str, Callable[[], object]]:
        words = (program, "prepare", archive, ours, "--resolution", 256, "--workers")
        builds = {f"progan, 4 to 256, {n} workers": command(*words, n) for n in (2, 1)}
        if peer:
            builds["StyleGAN3's tool, 256 only, 1 process"] = command(
                peer, "--source", archive, "--dest", theirs,
                "--resolution", "256x256", "--transform", "center-crop",
            )  # fmt: skip
        return builds

    archives = {
        write_copies(pictures, folder / f"{n}.zip", n): folder / f"{n}.zip" for n in (1, copies)
    }
    few, many = archives
    timings: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for count, archive in archives.items():
            for name, action in actions(archive).items():
                shutil.rmtree(ours, ignore_errors=True)
                theirs.unlink(missing_ok=True)
                timings.setdefault((name, count), []).append(time_child_processes(action))
    headings = ("", "pictures/s", "min-max", "processor ms a picture", "one more picture")
    title = f"building, {many} photographs, median of {rounds} rounds"
    table = new_table(headings, title, text_columns=1)
    for name in actions(folder):
        speeds = sorted(many / seconds for seconds, _ in timings[name, many])
        used = {n: statistics.median(1000 * cpu for _, cpu in timings[name, n]) for n in archives}
        table.add_row(
            name,
            f"{statistics.median(speeds):.0f}",
            f"{speeds[0]:.0f}-{speeds[-1]:.0f}",
            f"{used[many] / many:.1f}",
            f"{(used[many] - used[few]) / (many - few):.1f}",
        )
    return table


class Throughput(NamedTuple):
    """How fast pictures are read."""

    by_clock: float
    """Pictures/s."""
    by_processor: float
    """Pictures per second of processor time of this process."""


def throughput(batches: Iterator[torch.Tensor]) -> Throughput:
    """Read for some seconds, after one batch as warm-up."""
    next(batches)
    pictures, start, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < SECONDS:
        pictures += len(next(batches))
    seconds, used = time.perf_counter() - start, time.process_time() - used
    return Throughput(pictures / seconds, pictures / (used + 1e-9))


def plain_webdataset(dataset: Path, resolution: int, workers: int) -> Throughput:
    """webdataset as in its documentation: shuffled shards, a buffer of 1000, floats, batches."""
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
    return throughput(batches)


def ours(
    dataset: Path, resolution: int, threads: int | None, cache_gb: float, *, as_bytes: bool = False
) -> Throughput:
    """The project's loader; with a cache, once it is full. As bytes: what a GPU is given."""
    spec = DataSpec(path=dataset, cache_gb=cache_gb, threads=threads)
    batch = BATCH[resolution]
    with Batches(spec, resolution, seed=0, batch=batch, rank=0, world_size=1) as batches:
        if cache_gb:
            for start in range(0, batches.num_samples, batch):
                batches.fixed(start, batch)
        return throughput(reals.pixels if as_bytes else reals.images() for reals in batches)


def read(pictures: Path, folder: Path, rounds: int) -> Table:
    """Read shuffled float batches."""
    dataset = folder / "read"
    prepare(pictures, dataset, 1024)
    headings = ("size", "", "webdataset", "ours", "", "ours, cached", "")
    table = new_table(headings, f"reading, images/s, median of {rounds} rounds")
    for resolution in BATCH:
        measures = {
            "webdataset, 0 workers": partial(plain_webdataset, dataset, resolution, 0),
            "1 thread": partial(ours, dataset, resolution, 1, 0),
            "1 thread, cached": partial(ours, dataset, resolution, 1, 4),
            "webdataset, 2 workers": partial(plain_webdataset, dataset, resolution, 2),
            "2 threads": partial(ours, dataset, resolution, 2, 0),
            "2 threads, cached": partial(ours, dataset, resolution, 2, 4),
        }
        measured: dict[str, list[Throughput]] = {name: [] for name in measures}
        for _ in range(rounds):
            for name, measure in measures.items():
                measured[name].append(measure())
        by_clock = [statistics.median(t.by_clock for t in each) for each in measured.values()]
        by_processor = [
            statistics.median(t.by_processor for t in each) for each in measured.values()
        ]
        for row, (peer, plain, cached) in {
            "one, by the clock": by_clock[:3],
            "one, by processor time": by_processor[:3],
            "two, by the clock": by_clock[3:],
        }.items():
            ratios = [f"{plain / peer:.2f}x", f"{cached / peer:.1f}x"]
            cells = [f"{peer:,.0f}", f"{plain:,.0f}", ratios[0], f"{cached:,.0f}", ratios[1]]
            table.add_row(str(resolution), row, *cells)
    return table


def threads(pictures: Path, folder: Path, rounds: int) -> Table:
    """Read shuffled batches of bytes with several numbers of threads, by clock and processor."""
    dataset = folder / "threads"
    prepare(pictures, dataset, 1024)
    title = f"reading, images/s, median of {rounds} rounds; {processors()} processors"
    table = new_table(("size", "", *(f"{n} threads" for n in THREADS), "chosen"), title)
    for resolution in BATCH:
        measures = {
            (cached, n): partial(ours, dataset, resolution, n, 4 * cached, as_bytes=True)
            for cached in (False, True)
            for n in (*THREADS, None)
        }
        measured: dict[tuple[bool, int | None], list[Throughput]] = {key: [] for key in measures}
        for _ in range(rounds):
            for key, measure in measures.items():
                measured[key].append(measure())
        for cached, name in ((False, "decoded"), (True, "cached")):
            for row, speed in (
                ("", attrgetter("by_clock")),
                (" /CPU s", attrgetter("by_processor")),
            ):
                chosen = (measured[cached, n] for n in (*THREADS, None))
                speeds = (statistics.median(map(speed, each)) for each in chosen)
                table.add_row(str(resolution), name + row, *(f"{each:,.0f}" for each in speeds))
    return table


def resume(pictures: Path, folder: Path, rounds: int) -> Table:
    """Time to the first batch at several positions."""
    dataset = folder / "resume"
    prepare(pictures, dataset, 32)
    samples = load_manifest(dataset).num_samples
    positions = {"0": 0, "95 % of an epoch": int(0.95 * samples), "10^8": 10**8}

    def first(position: int) -> tuple[float, float]:
        """(milliseconds of wall-clock time, of processor time)"""
        from progan.datasets import order

        order._epoch_order.cache_clear()  # a new process has none
        start, used = time.perf_counter(), time.process_time()
        spec = DataSpec(path=dataset)
        with Batches(
            spec, 32, seed=0, batch=64, rank=0, world_size=1, position=position
        ) as batches:
            next(batches)
            return 1000 * (time.perf_counter() - start), 1000 * (time.process_time() - used)

    first(0)
    timings: dict[str, list[tuple[float, float]]] = {name: [] for name in positions}
    for _ in range(5 * rounds):
        for name, position in positions.items():
            timings[name].append(first(position))
    title = f"first batch of 64 at 32 px, {samples:,} samples, median of {5 * rounds}"
    table = new_table(("position", "ms", "processor ms"), title)
    for name, values in timings.items():
        medians = (statistics.median(column) for column in zip(*values, strict=True))
        table.add_row(name, *(f"{value:.1f}" for value in medians))
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["build", "read", "threads", "resume"])
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
            action = {"read": read, "threads": threads, "resume": resume}[arguments.what]
            table = action(arguments.pictures, folder, arguments.rounds)
    print_tables(table)


if __name__ == "__main__":
    main()
