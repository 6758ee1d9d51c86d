"""The content of a report, collected before the page is rendered: frozen, JSON-able.

`at` counts the images of the whole run: those of earlier stages and of this one.
"""

from pydantic import BaseModel, ConfigDict

from progan.stages.specs.stage import GrowthMode


class Part(BaseModel):
    """Base of all parts: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StagePart(Part):
    """One stage: its plan and its progress."""

    resolution: int
    state: str
    """As `progan status` shows it"""
    begins: int
    """Images that the run showed before it"""
    mode: GrowthMode
    fade_images: int
    """Images of its fade, or of its separate phase"""
    total_images: int
    images_seen: int
    batch: int
    lr: float
    seconds: float
    """Training time of its ticks"""
    hue: int
    """The stage's colour, degrees"""


class Frame(Part):
    """One grid of fakes, always from the same latents."""

    resolution: int
    at: int
    images_seen: int
    alpha: float
    phase: str
    picture: str
    """data: URI of `latents` pictures in `columns` columns, without gaps"""


class Reals(Part):
    """Real pictures at a stage's resolution."""

    resolution: int
    picture: str


class Growth(Part):
    """The same latents through all stages, and real pictures for comparison."""

    latents: int
    columns: int
    frames: tuple[Frame, ...]
    reals: tuple[Reals, ...]


class Series(Part):
    """One curve."""

    name: str
    """Its key in metrics.jsonl"""
    label: str
    at: tuple[int, ...]
    values: tuple[float, ...]


class Chart(Part):
    """Curves that share axes."""

    title: str
    hint: str
    series: tuple[Series, ...]


class Column(Part):
    """One metric of the finished stages; values from other numbers of images are not comparable."""

    heading: str
    images: int
    """Number of fakes, and of reals"""


class Measured(Part):
    """One stage's values, None where it has none."""

    resolution: int
    hue: int
    """The stage's"""
    values: tuple[float | None, ...]
    """One for each column"""


class Comparison(Part):
    """Finished stages in one table."""

    at: int | None
    """Resolution of all measurements, smaller pictures enlarged; None if each stage has its own"""
    columns: tuple[Column, ...]
    """Columns of equal `images` are adjacent"""
    rows: tuple[Measured, ...]


class LoggedEvent(Part):
    """An event of the run, in words."""

    time: float
    kind: str
    """start | finish | trouble | stop | change"""
    title: str
    text: str
    resolution: int | None
    at: int | None
    """Images that the run had shown by then"""


class Machines(Part):
    """The hosts of one start of a stage."""

    time: float
    resolution: int
    images_seen: int
    ranks: int
    hosts: tuple[str, ...]
    """A line of text each"""


class Environment(Part):
    """Hosts and software versions; empty where a run has not recorded them."""

    starts: tuple[Machines, ...]
    versions: dict[str, str]
    """Of the last start"""


class Report(Part):
    """The whole report."""

    name: str
    state: str
    """done | training | waiting | stopped | failed ..."""
    made_at: float
    made_by: str
    seconds_left: float | None
    """Of the whole run; None if it is done or that is not known"""
    ends_at: float | None
    """The date by them, while it trains"""
    stages: tuple[StagePart, ...]
    growth: Growth
    charts: tuple[Chart, ...]
    comparisons: tuple[Comparison, ...]
    happenings: tuple[LoggedEvent, ...]
    environment: Environment
    config: str
    """config.yaml"""

    @property
    def images_seen(self) -> int:
        """Over all stages."""
        return sum(stage.images_seen for stage in self.stages)

    @property
    def total_images(self) -> int:
        """Over all stages."""
        return sum(stage.total_images for stage in self.stages)

    @property
    def seconds(self) -> float:
        """Of training, over all stages."""
        return sum(stage.seconds for stage in self.stages)
