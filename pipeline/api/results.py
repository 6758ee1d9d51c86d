"""What a run has measured, as rows or a pandas table, and its report in a notebook; no torch."""

import html
from importlib import import_module
from pathlib import Path
from typing import Any

from progan.datasets.files import write_whole
from progan.pipeline.report.collect import collect, stage_data
from progan.pipeline.report.page import render
from progan.pipeline.run_folder import existing_run

PAGE_HEIGHT = 720
"""Of a report in a notebook, in pixels"""


class Metrics(list[dict[str, Any]]):
    """Rows of a run's metrics; a plain list of dictionaries, and a table of pandas on request."""

    def to_frame(self) -> Any:
        """A `pandas.DataFrame` with a column for each key, NaN where a row lacks it.

        ModuleNotFoundError if pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_frame needs pandas: pip install pandas") from error
        return pandas.DataFrame(list(self))


def read_metrics(run: str | Path) -> Metrics:
    """All lines of the stages' metrics.jsonl, in the order of training; also while a run trains.

    Each row has `resolution`, `run_images` (training images of the whole run until then) and what
    the stage has logged: `images_seen` (at this resolution), `alpha`, losses, gradient norms,
    `seconds`, measured metrics such as `swd_16` where there are some. ConfigError if there is no
    run in the folder.

    >>> rows = read_metrics("runs/shapes")
    >>> sorted({row["resolution"] for row in rows})
    [8]
    >>> last = rows[-1]
    >>> last.get("run_images"), "generator_loss" in last
    (304, True)
    """
    return Metrics(
        {"resolution": stage.spec.resolution, "run_images": stage.begins + tick["images_seen"]}
        | tick
        for stage in stage_data(existing_run(Path(run)))
        for tick in stage.ticks
    )


class Report:
    """A run's report, as of now: shown by a notebook as the last value of a cell, or saved.

    >>> Report("runs/shapes").save("report.html")
    PosixPath('report.html')
    """

    def __init__(self, run: str | Path) -> None:
        """ConfigError if there is no run in the folder."""
        self._path = Path(run)
        self._run = existing_run(self._path)

    @property
    def html(self) -> str:
        """The page: one file that loads nothing else."""
        return render(collect(self._run))

    def save(self, path: str | Path) -> Path:
        """Write the page; returns its path."""
        write_whole(Path(path), self.html.encode())
        return Path(path)

    def _repr_html_(self) -> str:
        """The page in a frame of its own: its styles and scripts do not affect the notebook's."""
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(self.html)}" '
            f'style="width: 100%; height: {PAGE_HEIGHT}px; border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r})"
