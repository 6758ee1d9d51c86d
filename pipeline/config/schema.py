"""A run's whole configuration, composed of the specs of the other folders; no torch.

A CONFIG is a YAML file or the name of a preset; `key=value` words override it.
"""

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from progan.datasets.format.location import LocalFile
from progan.datasets.spec import DataSpec
from progan.launch.precision import best_precision
from progan.launch.spec import LaunchSpec
from progan.pipeline.config.explain import SECRET, explain
from progan.pipeline.config.secrets import MASK, has_credentials
from progan.pipeline.config.texts import refused_text
from progan.pipeline.config.yaml_io import apply_override, plain, read_yaml
from progan.pipeline.errors import ConfigError
from progan.stages.specs.augment import AugmentSpec
from progan.stages.specs.by_resolution import RESOLUTIONS, ByResolution
from progan.stages.specs.model import Channels, ModelSpec
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.optimizers import AdamSpec, RmsPropSpec, SgdSpec, adam_by_default
from progan.stages.specs.stage import (
    CheckpointSpec,
    Compile,
    EmaSpec,
    EngineSpec,
    GrowthMode,
    MetricsSpec,
)

PRESETS = Path(__file__).parent / "presets"

PAPER_TICK_KIMG: dict[int | Literal["default"], float] = {
    4: 160, 8: 140, 16: 120, 32: 100, 64: 80, 128: 60, 256: 40, 512: 20, 1024: 10,
}  # fmt: skip


Kimg = Annotated[float, Field(ge=0.001)]
"""Thousands of images: at least one image"""


class Group(BaseModel):
    """A group of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class GrowthConfig(Group):
    """Resolutions, and the length of each stage (PGGAN, appendix A.1)."""

    first: int = 4
    """Resolution of the first stage."""
    last: int = 1024
    """Resolution of the last stage."""
    mode: GrowthMode = "fade"
    """How a new resolution is added: by a fade (PGGAN); stacked, the generator's new layers being
    trained separately before all layers jointly (SGAN); or none, all at once."""
    fade_kimg: ByResolution[NonNegativeFloat] = ByResolution[NonNegativeFloat]({"default": 600})
    """Thousands of images over which a new resolution fades in, or is trained separately; 0 with
    mode none."""
    steady_kimg: ByResolution[Kimg] = ByResolution[Kimg]({"default": 600})
    """Thousands of images shown after that."""

    @field_validator("first", "last")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value not in RESOLUTIONS:
            raise ValueError("must be a power of two from 4 to 1024")
        return value

    @model_validator(mode="after")
    def _rises(self) -> "GrowthConfig":
        if self.first > self.last:
            raise ValueError(f"first ({self.first}) is above last ({self.last})")
        return self


class ModelConfig(ModelSpec):
    """The networks' architecture, and their initial weights."""

    channels: Literal["auto"] | Channels = "auto"  # type: ignore[assignment]
    """Channels of a picture: 1 (grey), 3 (RGB) or 4 (RGB and alpha). `auto` is the data set's
    number, taken when a run is planned or begins, and frozen in its config.yaml; another number
    than the data set's is refused."""
    init: LocalFile | None = None
    """An export, an import, or another run's stage `final/`: the first stage starts from its
    networks, whose resolution is growth.first. An export has no discriminator: one is drawn."""
    init_sha256: str | None = None
    """Its checksum, set when the run starts."""
    representative: LocalFile | None = None
    """Folder of `progan pretrain`: the discriminator's head sees the features of its encoder, which
    stays frozen, beside its own (docs/objectives.md). Read when the run starts; after that the
    encoder is part of checkpoints and finished stages. The encoder's shape and checksum are set
    in discriminator.representative."""

    @property
    def spec(self) -> ModelSpec:
        """The architecture alone. Until the data set is known, channels are ModelSpec's default."""
        unknown = {"channels"} if self.channels == "auto" else set()
        places = {"init", "init_sha256", "representative"}
        return ModelSpec(**self.model_dump(exclude=places | unknown))


class RatesConfig(Group):
    """Learning rates for each resolution."""

    lr: ByResolution[PositiveFloat] = ByResolution[PositiveFloat]({"default": 0.001})
    """Learning rate of both networks."""
    discriminator_lr: ByResolution[PositiveFloat | None] = ByResolution[PositiveFloat | None](
        {"default": None}
    )
    """The discriminator's, if it differs from `lr` (two time-scales)."""


class AdamConfig(RatesConfig, AdamSpec):
    """Adam and its learning rates."""

    @property
    def spec(self) -> AdamSpec:
        """The optimiser alone."""
        return AdamSpec(**self.model_dump(exclude=set(RatesConfig.model_fields)))


class RmsPropConfig(RatesConfig, RmsPropSpec):
    """RMSProp and its learning rates."""

    @property
    def spec(self) -> RmsPropSpec:
        """The optimiser alone."""
        return RmsPropSpec(**self.model_dump(exclude=set(RatesConfig.model_fields)))


class SgdConfig(RatesConfig, SgdSpec):
    """SGD with momentum, and its learning rates."""

    @property
    def spec(self) -> SgdSpec:
        """The optimiser alone."""
        return SgdSpec(**self.model_dump(exclude=set(RatesConfig.model_fields)))


OptimizerConfig = Annotated[
    AdamConfig | RmsPropConfig | SgdConfig,
    Field(discriminator="kind"),
    BeforeValidator(adam_by_default),
]


class EngineConfig(EngineSpec):
    """How a step is computed."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # type: ignore[assignment]
    """Precision of convolutions; weights and moments are always float32. `auto` is bf16 on GPUs of
    compute capability 8.0 or more and on CPUs that are faster in it (with AMX, or AMD's with
    AVX512_BF16), else fp32; the choice is made when a run begins, and frozen in its config.yaml.
    With fp16 the losses are scaled dynamically, and a step whose gradients overflow is skipped."""
    compile: ByResolution[Compile] = ByResolution[Compile]({"default": "off"})
    """`default` compiles the passes that are differentiated once with torch.compile: results
    differ by rounding, and the first step and the end of a fade wait for minutes
    (stages/engine/compile.py). Meant for GPUs: CPUs gain little. It needs a C++ compiler. The
    memory that `progan plan` shows is that without. `reduce-overhead` records these passes as CUDA
    graphs too: for resolutions (4 to 32) whose many small kernels take a GPU less time than the
    calls that start them. On CPUs it is the same as `default`."""

    @property
    def spec(self) -> EngineSpec:
        """The settings that are the same at all resolutions."""
        return EngineSpec(**self.model_dump(exclude={"compile"}))


class CheckpointConfig(CheckpointSpec):
    """When a stage writes checkpoints, where copies go, and what it does after a divergence."""

    mirror: Annotated[str, Field(min_length=1)] | None = None
    """URL of a folder on object storage, such as s3://BUCKET/RUNS (also gs, az, file), in which a
    folder of the run's name gets a copy of its checkpoints, finished networks and logs while it
    trains. `progan train` with the same --run fetches from there what its folder lacks: a lost
    machine costs what came after the last copied checkpoint (docs/clusters.md)."""

    @field_validator("mirror")
    @classmethod
    def _a_place_to_write_to(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"(?!https?:)[A-Za-z][A-Za-z0-9+.-]*://.", value):
            raise ValueError("must be a URL that can be written to, such as s3://BUCKET/RUNS")
        return value

    @property
    def spec(self) -> CheckpointSpec:
        """What the workers need."""
        return CheckpointSpec(**self.model_dump(exclude={"mirror"}))


class TicksConfig(Group):
    """How often a run logs scalars and sample grids."""

    kimg: ByResolution[Kimg] = ByResolution[Kimg](PAPER_TICK_KIMG)
    """Thousands of images per line of metrics.jsonl."""
    samples_every: PositiveInt = 1
    """Ticks per grid of samples."""
    grid: Annotated[int, Field(ge=1, le=32)] = 8
    """Pictures along one side of a grid."""


class TrackingConfig(Group):
    """Where scalars and pictures are logged to."""

    mlflow: str = "sqlite"
    """`sqlite` (a file next to the run's folder), the URI of a tracking server, or `off`."""
    experiment: Annotated[str, Field(min_length=1)] = "progan"
    """MLflow's experiment, which the run is logged in."""
    tensorboard: bool = False
    """Whether event files are written to RUN/tensorboard; needs progan[tensorboard]."""
    wandb: Annotated[str, Field(pattern=r"^([^/\\#?%:]{1,128}/)?[^/\\#?%:]{1,128}$")] = "off"
    """PROJECT or ENTITY/PROJECT of Weights & Biases, or `off`; needs progan[wandb]."""
    tags: dict[str, str] = {}
    """Set on all of the run's MLflow and W&B runs."""
    register_as: Annotated[str, Field(min_length=1)] = "auto"
    """Name of the finished generator in the model registry; `auto` is progan-RUN; or `off`."""

    @field_validator("mlflow")
    @classmethod
    def _a_place_without_secrets(cls, value: str) -> str:
        if has_credentials(value):
            raise PydanticCustomError(
                SECRET,
                "holds credentials, which must not be written down; leave them out and set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN "
                "(a database's password: its own variable or file, like PGPASSWORD)",
            )
        if value not in ("sqlite", "off") and "://" not in value:
            raise ValueError("must be sqlite, off, or a URI like http://host:5000")
        return value

    def registered_name(self, run_name: str) -> str | None:
        """The finished generator's name in the registry; None if it is not registered."""
        if self.register_as == "off":
            return None
        return f"progan-{run_name}" if self.register_as == "auto" else self.register_as


class HooksConfig(Group):
    """Commands of yours."""

    on_end: Annotated[str, Field(min_length=1)] | None = None
    """Shell command for notifications, run on the machine of `progan train` when a run has
    finished, stopped or failed, and when a crashed stage starts again. Its environment has
    PROGAN_OUTCOME (finished, stopped, failed or restarted), PROGAN_RUN, PROGAN_REASON and
    PROGAN_REPORT. It has 60 seconds."""


class RunConfig(Group):
    """The whole configuration of a run."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Of all random numbers: initial weights, latents, order of the pictures."""
    data: DataSpec
    model: ModelConfig = ModelConfig()
    growth: GrowthConfig = GrowthConfig()
    batch: ByResolution[PositiveInt]
    """Images per step over all ranks."""
    micro_batch: ByResolution[PositiveInt | None] = ByResolution[PositiveInt | None](
        {"default": None}
    )
    """Images per forward pass of a rank, whose share of the batch is accumulated; by default the
    whole share."""
    optimizer: OptimizerConfig = AdamConfig()
    objective: ObjectiveSpec = ObjectiveSpec()
    augment: AugmentSpec | None = None
    """Random transformations of all that the discriminator sees: diffaugment or ada, against
    overfitting to hundreds or thousands of pictures (docs/augmentation.md)."""
    ema: EmaSpec = EmaSpec()
    engine: EngineConfig = EngineConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    ticks: TicksConfig = TicksConfig()
    tracking: TrackingConfig = TrackingConfig()
    hooks: HooksConfig = HooksConfig()
    metrics: MetricsSpec = MetricsSpec()
    launch: LaunchSpec = LaunchSpec()

    @property
    def resolutions(self) -> list[int]:
        """Of the stages, ascending."""
        return [r for r in RESOLUTIONS if self.growth.first <= r <= self.growth.last]

    def masked(self) -> "RunConfig":
        """The same without the values of `launch.env`, to show or to send."""
        launch = self.launch.model_copy(update={"env": dict.fromkeys(self.launch.env, MASK)})
        return self.model_copy(update={"launch": launch})


def presets() -> list[str]:
    """Names of the presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_config(
    name: str,
    overrides: tuple[str, ...] = (),
    auto_precision: Callable[[LaunchSpec], str] = lambda launch: best_precision(launch)[0],
) -> RunConfig:
    """The configuration of a file or preset, changed by `key=value` words.

    Relative data paths are resolved against the current folder; `auto_precision` gives what
    engine.precision=auto stands for. Raises ConfigError; LaunchError if no host of a hostfile
    answers what it computes in.
    """
    if os.path.isfile(name):
        path = Path(name)
    elif name in presets():
        path = PRESETS / f"{name}.yaml"
    else:
        raise _no_config(name)
    values = read_yaml(path)
    for override in overrides:
        apply_override(values, override, default_values())
    return with_precision(validate(values, source=name), auto_precision)


def with_precision(config: RunConfig, auto_precision: Callable[[LaunchSpec], str]) -> RunConfig:
    """The configuration with what engine.precision=auto stands for."""
    if config.engine.precision != "auto":
        return config
    precision = auto_precision(config.launch)
    return config.model_copy(
        update={"engine": config.engine.model_copy(update={"precision": precision})}
    )


def _no_config(name: str) -> ConfigError:
    if os.path.exists(name):
        kind = "a folder" if os.path.isdir(name) else "no regular file"
        return ConfigError(f"{name} is {kind}; a configuration is a YAML file or a preset's name")
    close = difflib.get_close_matches(name, presets(), n=1)
    hint = f", did you mean {close[0]}?" if close else f"; presets: {', '.join(presets())}"
    return ConfigError(f"no file and no preset is named {name}{hint}")


def default_values() -> dict[str, Any]:
    """Every default, as raw values."""
    fields = RunConfig.model_fields.items()
    defaults = {name: field.default for name, field in fields if not field.is_required()}
    return {
        name: plain(default.model_dump()) if isinstance(default, BaseModel) else default
        for name, default in defaults.items()
    }


def validate(values: dict[str, Any], source: str) -> RunConfig:
    """Check raw values; ConfigError names the key and `source`."""
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source}: {explain(error, RunConfig)}") from error
    if problem := refused_text(plain(config.model_dump())):
        raise ConfigError(f"{source}: {problem}")
    absolute = {"data": config.data.absolute(), "metrics": config.metrics.absolute()}
    return config.model_copy(update=absolute)
