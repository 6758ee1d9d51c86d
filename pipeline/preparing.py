"""`progan prepare` with a bar."""

import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from progan.datasets.build import Progress as Built
from progan.datasets.build import prepare
from progan.datasets.manifest import Manifest


def prepare_with_bar(source: Path, dataset: Path, resolution: int, workers: int | None) -> None:
    """Build a data set; show pictures/s, bytes and time left on standard error."""
    console = Console(stderr=True)
    began = time.monotonic()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("pictures", total=None, speed="")
        before: int | None = None

        def report(built: Built) -> None:
            nonlocal before
            if before is None:
                before = built.pictures_done  # by an interrupted build: not to be counted as speed
            pace = (built.pictures_done - before) / max(time.monotonic() - began, 1e-9)
            speed = f"{pace:.0f} pictures/s  {built.bytes_written / 1e6:.0f} MB"
            done, total = built.pictures_done, built.pictures_total
            bar.update(task, completed=done, total=total, speed=speed)

        manifest = prepare(source, dataset, resolution, workers=workers, report=report)
    console.print(summary(dataset, manifest, time.monotonic() - began), highlight=False)


def summary(dataset: Path, manifest: Manifest, seconds: float) -> str:
    """What was made, in a line."""
    resolutions = manifest.resolutions
    classes = f", {len(manifest.classes)} classes" if manifest.classes else ""
    return (
        f"{dataset}: {manifest.num_samples:,} pictures{classes} at {resolutions[0]} to "
        f"{resolutions[-1]} pixels in {seconds:.1f} s"
    )
