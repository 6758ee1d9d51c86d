"""What a report says, gathered before a page is made of it: frozen, and JSON all through.

Images are counted over the whole run: `at` is those of the stages before and of this one.
"""

from pydantic import BaseModel, ConfigDict

from progan.stages.specs.stage import GrowthMode


class Part(BaseModel):
    """Base of all parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StagePart(Part):
    """One resolution: its plan and how far it is."""

    resolution: int
    state: str
    """As `progan status` says"""
    begins: int
    """Images of the run before it"""
    mode: GrowthMode
    fade_images: int
    """Of its fade, or of its separate phase"""
    total_images: int
    images_seen: int
    batch: int
    lr: float
    seconds: float
    """Spent on the images seen, as its ticks say"""
    hue: int
    """Degrees: each stage has its colour"""


class Frame(Part):
    """One grid of pictures from the same latents."""

    resolution: int
    at: int
    images_seen: int
    alpha: float
    phase: str
    picture: str
    """data: URI of `latents` pictures in `columns` columns, without gaps"""


class Reals(Part):
    """Pictures of the data set, as one stage is shown them."""

    resolution: int
    picture: str


class Growth(Part):
    """The same latents through all stages, and reals beside them."""

    latents: int
    columns: int
    frames: tuple[Frame, ...]
    reals: tuple[Reals, ...]


class Series(Part):
    """One curve."""

    name: str
    """As metrics.jsonl has it"""
    label: str
    at: tuple[int, ...]
    values: tuple[float, ...]


class Chart(Part):
    """Curves that belong together."""

    title: str
    hint: str
    series: tuple[Series, ...]


class Column(Part):
    """One figure of finished stages, all of as many pictures: others are not comparable."""

    heading: str
    images: int
    """Fakes, and as many reals"""


class Measured(Part):
    """One stage's figures, None where it has none."""

    resolution: int
    hue: int
    """That of the stage"""
    values: tuple[float | None, ...]
    """One for each column"""


class Comparison(Part):
    """Finished stages in one table."""

    at: int | None
    """Resolution at which all were measured, smaller pictures enlarged; None if each at its own"""
    columns: tuple[Column, ...]
    """Those of as many pictures stand together"""
    rows: tuple[Measured, ...]


class LoggedEvent(Part):
    """A line of the event_log, for people."""

    time: float
    kind: str
    """start | finish | trouble | stop | change"""
    title: str
    text: str
    resolution: int | None
    at: int | None
    """Images of the run that had been shown by then"""


class Machines(Part):
    """What one start of a stage ran on."""

    time: float
    resolution: int
    images_seen: int
    ranks: int
    hosts: tuple[str, ...]
    """A line each"""


class Environment(Part):
    """What the run ran on and with. Empty where a run did not write it down."""

    starts: tuple[Machines, ...]
    versions: dict[str, str]
    """Of the last start"""


class Report(Part):
    """All that the page shows."""

    name: str
    state: str
    """done | training | waiting | stopped | failed ..."""
    made_at: float
    made_by: str
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
