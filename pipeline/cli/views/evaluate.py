"""Output of `progan evaluate`: a bar for each stage, then a table; no torch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE
from rich.console import Group
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TimeElapsedColumn
from rich.table import Table

from progan.pipeline.run.terminal import Terminal, Words


@contextmanager
def stage_bars() -> Iterator[Callable[[int, int, int], None]]:
    """Bars on standard error; yields a function of resolution, done and total that updates them.

    Without a terminal, prints a line when a stage is done.
    """
    terminal = Terminal(stderr=True)
    bars: dict[int, TaskID] = {}
    progress = terminal.bars(
        Words("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )

    def update(resolution: int, done: int, total: int) -> None:
        if resolution not in bars:
            bars[resolution] = progress.add_task(f"{resolution}x{resolution}".rjust(9))
        progress.update(bars[resolution], completed=done, total=total)
        if done == total and not terminal.is_terminal:
            terminal.say(f"{resolution}x{resolution} measured")

    with progress:
        yield update


def evaluation_table(document: dict[str, Any]) -> Group:
    """A line per stage, a column per value; below it the reasons for missing values."""
    table = Table(title=document["run"], box=SIMPLE)
    lines = [_figures(stage) for stage in document["stages"]]
    for heading in dict.fromkeys(heading for line in reversed(lines) for heading in line):
        table.add_column(heading, justify="right")
    for line in lines:
        table.add_row(*(line.get(str(column.header), "-") for column in table.columns))
    reasons = dict.fromkeys(
        f"{name}: {reason}"
        for stage in document["stages"]
        for name, reason in stage["left_out"].items()
    )
    return Group(table, *reasons)


def _figures(stage: dict[str, Any]) -> dict[str, str]:
    """One line of the table by heading."""
    results = stage["results"]
    line = {"stage": str(stage["resolution"]), "kimg": f"{stage['images_seen'] / 1000:.1f}"}
    if results:
        line |= {"at": str(results[0]["at"]), "images": str(results[0]["images"])}
    for result in results:
        line |= {name: _number(value) for name, value in result["values"].items()}
    return line


def _number(value: float) -> str:
    """Four digits."""
    return f"{value:#.4g}" if abs(value) < 1000 else f"{value:.0f}"
