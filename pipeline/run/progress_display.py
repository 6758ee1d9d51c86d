"""Shows a run's progress: bars on a terminal, a line every 10 seconds elsewhere."""

import time
from collections.abc import Callable, Collection, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from rich.progress import (
    BarColumn,
    TaskID,
    TaskProgressColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from progan.pipeline.plan.times import about, longer_than_a_day
from progan.pipeline.run.terminal import Terminal, Words
from progan.pipeline.run.time_left import TimeLeft
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


def describe(spec: StageSpec, progress: dict[str, Any] | None, left: float | None) -> str:
    """One line: phase, alpha, kimg, images/s. left: seconds of the whole run."""
    if progress is None:
        return "starting"
    total = spec.growth.total_images
    if progress["phase"] == "done":
        return f"{total / 1000:.1f} kimg shown; measures and writes its networks"
    speed = progress["images_per_second"]
    return (
        f"{progress['phase']:8} alpha {progress['alpha']:.2f}  "
        f"{progress['images_seen'] / 1000:.1f}/{total / 1000:.1f} kimg  "
        f"{speed:.0f} images/s  {time_left_words(left)}"
    )


def time_left_words(seconds: float | None) -> str:
    """How long a run still takes."""
    return "run: time left unknown" if seconds is None else f"run: about {about(seconds)} left"


class Countdown:
    """The seconds that a run still takes, computed anew every few seconds."""

    def __init__(self, compute: Callable[[], TimeLeft | None]) -> None:
        self._compute = compute
        self._next = 0.0
        self._end: float | None = None
        self.left: TimeLeft | None = None

    def seconds(self) -> float | None:
        """Until the run's end; None if unknown."""
        now = time.monotonic()
        if now >= self._next:
            self.left = self._compute()
            self._next = now + LINE_SECONDS
            self._end = None if self.left is None else now + self.left.seconds
        return None if self._end is None else max(0.0, self._end - now)


class Display:
    """Shows a run on standard error; see orchestrator.ProgressListener."""

    def __init__(
        self,
        specs: list[StageSpec],
        time_left: Callable[[], TimeLeft | None],
        on_restart: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._on_restart = on_restart
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
        self._said = ""
        self._countdown = Countdown(time_left)
        self._warned = False

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
        where = describe(spec, progress, self._seconds_left())
        self._progress.update(bar, completed=done, where=where)
        self._line(spec, where, at_once=False)

    def stage_waiting(self, spec: StageSpec) -> None:
        """See ProgressListener."""
        self._progress.update(self._bars[spec.resolution], where=QUEUED)
        self._line(spec, QUEUED, at_once=False)

    def on_message(self, text: str) -> None:
        """See ProgressListener."""
        self.terminal.say(text)

    def stage_restarts(self, spec: StageSpec, reason: str, seconds: float) -> None:
        """See ProgressListener."""
        what_next = f"starting again in {seconds:.0f} s, from the last checkpoint"
        self.on_message(f"{_name(spec).strip()}: {reason}\n{what_next}")
        self._on_restart(reason)

    def _seconds_left(self) -> float | None:
        """Of the whole run; says once if that is long."""
        seconds, left = self._countdown.seconds(), self._countdown.left
        if left and not self._warned:
            if warning := longer_than_a_day(seconds, on_gpus=left.on_gpus):
                self.on_message(f"progan: {warning}")
                self._warned = True
        return seconds

    def _line(self, spec: StageSpec, text: str, at_once: bool) -> None:
        """Without a terminal: print a line, at most one every LINE_SECONDS unless `at_once`.

        A line that says what the one before said is left out.
        """
        now, line = time.monotonic(), f"{_name(spec)} {text}"
        early = not at_once and now - self._last_line < LINE_SECONDS
        if self.terminal.is_terminal or early or line == self._said:
            return
        self._last_line, self._said = now, line
        self.terminal.say(line)


def _name(spec: StageSpec) -> str:
    size = f"{spec.resolution}x{spec.resolution}"
    return f"{size:>9}"
