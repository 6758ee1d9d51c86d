"""Shows a run's progress: bars on a terminal, a line every 10 seconds elsewhere."""

import time
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from rich.progress import (
    BarColumn,
    TaskID,
    TaskProgressColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from progan.pipeline.run.terminal import Terminal, Words
from progan.stages.specs.stage import GrowthMode, StageSpec

Item = TypeVar("Item")

LINE_SECONDS = 10.0
QUEUED = "waiting for the scheduler"
HEADINGS: dict[GrowthMode, tuple[str, str]] = {
    "fade": ("fade", "steady"),
    "stacked": ("separate", "joint"),
}
"""Names of a stage's two phases, by its growth mode"""


def track(items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
    """The items; a bar on a terminal counts them as they are taken."""
    columns = BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Terminal(stderr=True).bars(Words("{task.description}"), *columns, transient=True) as bars:
        yield from bars.track(items, total, description=what)


def phase_headings(modes: Collection[GrowthMode]) -> tuple[str, str]:
    """Names of the two phases for stages of these growth modes: fade, steady; separate, joint."""
    found = [names for mode, names in HEADINGS.items() if mode in modes] or [HEADINGS["fade"]]
    firsts, seconds = zip(*found, strict=True)
    return "/".join(firsts), "/".join(seconds)


def duration(seconds: float) -> str:
    """1:02:03"""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"


def seconds_left(spec: StageSpec, progress: dict[str, Any] | None) -> float | None:
    """Seconds until a stage is finished at its present speed; None if unknown."""
    if progress is None or progress["images_per_second"] <= 0:
        return None
    # The last step may overshoot.
    images = max(0, spec.growth.total_images - progress["images_seen"])
    return float(images / progress["images_per_second"])


def describe(spec: StageSpec, progress: dict[str, Any] | None) -> str:
    """One line: phase, alpha, kimg, images/s, time left of the stage."""
    if progress is None:
        return "starting"
    total = spec.growth.total_images
    if progress["phase"] == "done":
        return f"{total / 1000:.1f} kimg shown; measures and writes its networks"
    speed = progress["images_per_second"]
    left = seconds_left(spec, progress)
    return (
        f"{progress['phase']:8} alpha {progress['alpha']:.2f}  "
        f"{progress['images_seen'] / 1000:.1f}/{total / 1000:.1f} kimg  "
        f"{speed:.0f} images/s  {'-:--:--' if left is None else duration(left)} left"
    )


class Display:
    """Shows a run on standard error; see orchestrator.ProgressListener."""

    def __init__(self, specs: list[StageSpec]) -> None:
        self.terminal = Terminal(stderr=True)
        self._progress = self.terminal.bars(
            Words("{task.description}"),
            BarColumn(bar_width=30),
            Words("{task.fields[where]}"),
            TimeElapsedColumn(),
        )
        self._bars: dict[int, TaskID] = {}
        for spec in specs:
            self._bars[spec.resolution] = self._progress.add_task(
                _name(spec), total=spec.growth.total_images, where="waiting", start=False
            )
        self._last_line = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def stage_done(self, spec: StageSpec) -> None:
        """See ProgressListener."""
        total = spec.growth.total_images
        where = f"done    {total / 1000:.1f} kimg"
        self._progress.update(self._bars[spec.resolution], completed=total, where=where)
        self._progress.stop_task(self._bars[spec.resolution])
        self._line(spec, where, at_once=True)

    def stage_at(self, spec: StageSpec, progress: dict[str, Any] | None) -> None:
        """See ProgressListener."""
        bar = self._bars[spec.resolution]
        self._progress.start_task(bar)
        done = progress["images_seen"] if progress else 0
        self._progress.update(bar, completed=done, where=describe(spec, progress))
        self._line(spec, describe(spec, progress), at_once=False)

    def stage_waiting(self, spec: StageSpec) -> None:
        """See ProgressListener."""
        self._progress.update(self._bars[spec.resolution], where=QUEUED)
        self._line(spec, QUEUED, at_once=False)

    def on_message(self, text: str) -> None:
        """See ProgressListener."""
        self.terminal.say(text)

    def _line(self, spec: StageSpec, text: str, at_once: bool) -> None:
        """Without a terminal: print a line, at most one every LINE_SECONDS unless `at_once`."""
        now = time.monotonic()
        if self.terminal.is_terminal or (not at_once and now - self._last_line < LINE_SECONDS):
            return
        self._last_line = now
        self.terminal.say(f"{_name(spec)} {text}")


def _name(spec: StageSpec) -> str:
    size = f"{spec.resolution}x{spec.resolution}"
    return f"{size:>9}"
