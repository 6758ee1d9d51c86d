"""StageSpec, and the groups of the configuration that it is made of.

No torch here: the orchestrator builds these, the workers read them from spec.json.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from progan.datasets.format.location import LocalFile
from progan.datasets.spec import DataSpec
from progan.stages.specs.augment import AugmentSpec
from progan.stages.specs.base import Spec
from progan.stages.specs.model import ModelSpec, Resolution
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.optimizers import OptimizerSpec


class EmaSpec(Spec):
    """The generator's exponential moving average, which gets exported."""

    half_life_kimg: PositiveFloat = 10.0
    """Images after which a weight's share in the average has halved, for any batch size."""
    decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Instead of the half-life: a fixed decay per step (the paper's 0.999)."""
    rampup: PositiveFloat | None = None
    """Keep the half-life below this share of the images that the stage has seen, so that the
    average of a short stage does not lag behind (StyleGAN2's 0.05); by default it is constant."""

    def per_step(self, images: int, seen: int) -> float:
        """The decay of the average at a step of `images` images, after `seen` ones of the stage."""
        if self.decay is not None:
            return self.decay
        half_life = self.half_life_kimg * 1000
        if self.rampup is not None:
            half_life = min(half_life, self.rampup * seen)
        return float(0.5 ** (images / half_life)) if half_life else 0.0

    @model_validator(mode="after")
    def _ramps_a_half_life(self) -> "EmaSpec":
        if self.decay is not None and self.rampup is not None:
            raise ValueError("rampup limits half_life_kimg, which a fixed decay replaces")
        return self


class EngineSpec(Spec):
    """How a step is computed."""

    zero: Literal[0, 1, 2] = 1
    """DeepSpeed ZeRO stage: what is sharded over the ranks (1: moments, 2: gradients too). A single
    rank uses 0, which saves the copies."""
    precision: Literal["fp32", "bf16", "fp16"] = "bf16"
    """Precision of convolutions; weights and moments are always float32. With fp16 the losses are
    scaled dynamically, and a step whose gradients overflow is skipped."""
    tf32: bool = False
    """Whether GPUs may round the inputs of float32 convolutions and matrix products to TF32, with
    10 bits of mantissa instead of 23: several times faster. Only matters with precision fp32."""
    deterministic: bool = False
    """Whether GPUs take only algorithms that give the same bytes at every repetition: slower. CPUs
    always do."""
    activation_checkpointing: Resolution | None = None
    """Lowest resolution whose blocks, in both networks, are recomputed in the backward pass instead
    of keeping their activations: less memory, more time. By default none."""
    overlap_comm: bool = False
    """Whether gradients are reduced during the backward pass. DeepSpeed's way makes the host wait
    for the device at every bucket, which pays when the network between machines is slow."""
    collective_timeout_minutes: Annotated[float, Field(gt=0, le=1e6)] = 10.0
    """How long a rank waits for the others before the stage ends, naming the missing ones."""

    @field_validator("zero", mode="before")
    @classmethod
    def _weights_stay_whole(cls, value: object) -> object:
        if value == 3:
            raise ValueError(
                "ZeRO 3 shards the weights, which are 0.2 GB for both networks at 1024x1024, and "
                "gathers them in every pass of a step; 1 and 2 shard the larger rest"
            )
        return value

    def sharding(self, ranks: int) -> Literal[0, 1, 2]:
        """The ZeRO stage on `ranks` ranks."""
        return self.zero if ranks > 1 else 0


Compile = Literal["off", "default", "reduce-overhead"]
"""Whether torch.compile compiles a step's passes: the name of its mode. `reduce-overhead` records
each as a CUDA graph too, which a GPU starts with one call"""


class CheckpointSpec(Spec):
    """When a stage writes checkpoints, and what it does after a divergence."""

    every_minutes: PositiveFloat | None = 10.0
    """Minutes between checkpoints; null for none by time."""
    every_kimg: PositiveFloat | None = None
    """Thousands of images between checkpoints, in addition to those by time."""
    keep: PositiveInt = 3
    """Newest checkpoints kept per stage."""
    keep_every_kimg: PositiveFloat | None = None
    """In addition, the first checkpoint of every period of this length is kept for good."""
    on_divergence: Literal["stop", "rollback"] = "stop"
    """What to do when a loss, penalty or gradient is not finite: end, or restore the newest
    checkpoint and continue with the data and latents that come after the diverging step."""
    max_rollbacks: PositiveInt = 3
    """Per stage; after that, a divergence ends it."""

    def superseded(self, images_seen: Collection[int]) -> set[int]:
        """Which of the checkpoints taken at these counts of images need not be kept."""
        kept = set(sorted(images_seen)[-self.keep :])
        if self.keep_every_kimg:
            first: dict[int, int] = {}
            for seen in sorted(images_seen):
                first.setdefault(int(seen // (self.keep_every_kimg * 1000)), seen)
            kept |= {seen for period, seen in first.items() if period > 0}
        return set(images_seen) - kept


GrowthMode = Literal["fade", "stacked", "none"]
"""How a new resolution is introduced (schedule.py)"""


class GrowthSpec(Spec):
    """Length of one stage in images."""

    mode: GrowthMode = "fade"
    fade_images: Annotated[int, Field(ge=0)]
    """Images over which alpha goes from 0 to 1, or only the generator's new layers are trained; 0
    at the first resolution."""
    steady_images: Annotated[int, Field(ge=0)]
    """Images after that, with all layers trained at alpha 1."""

    @property
    def total_images(self) -> int:
        """All images of the stage."""
        return self.fade_images + self.steady_images


class TickSpec(Spec):
    """How often a stage logs scalars and draws sample grids."""

    images: PositiveInt
    """Images per line of metrics.jsonl."""
    samples_every: PositiveInt
    """Ticks per grid of samples."""
    grid: PositiveInt
    """Pictures along one side of a grid of samples."""


class InitSpec(Spec):
    """Pretrained networks to start from (storage/pretrained.py)."""

    path: Path
    sha256: str | None
    """Fingerprint that the weights must have; None in a plan that is only displayed."""


MetricName = Literal[
    "swd", "ms_ssim", "ssim", "geometry_score", "fid", "kid", "precision_recall", "inception_score"
]


class MetricsSpec(Spec):
    """Which metrics of the averaged generator are measured, and when. Training is not affected,
    except by `holdout`.

    swd: sliced Wasserstein distance x 1000, by level, from 16x16 on; ms_ssim, ssim: similarity of
    fakes; geometry_score: difference in topology x 1000, which needs progan[geometry]; fid, kid,
    precision_recall, inception_score: through InceptionV3, whose weights are needed.
    """

    during: tuple[MetricName, ...] = ("swd",)
    """During training, every `every_ticks` ticks."""
    every_ticks: PositiveInt = 10
    """Ticks from one measurement to the next."""
    at_end: tuple[MetricName, ...] = ("swd", "ms_ssim")
    """At the end of a stage, and by default in `progan evaluate`."""
    images: Annotated[int, Field(ge=2)] = 8192
    """Fakes that are compared with as many reals; fewer if the data set has fewer."""
    holdout: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Share of the data set that is never trained on: at every tick the discriminator's logits for
    it are logged beside those for as many trained pictures. Training is affected by this alone."""
    inception_weights: LocalFile | None = None
    """torch-fidelity's InceptionV3 of 2015-12-05, a .pth file; never downloaded automatically."""

    def absolute(self) -> "MetricsSpec":
        """The same with an absolute path of the weights."""
        weights = self.inception_weights and self.inception_weights.expanduser().absolute()
        return self.model_copy(update={"inception_weights": weights})


class StageSpec(Spec):
    """The training of one resolution: all that its workers need to know (spec.json)."""

    resolution: PositiveInt
    grown_from: Path | None
    """The previous stage's `final` folder; None at the first resolution."""
    init: InitSpec | None = None
    """Pretrained networks for the first stage; by default its weights are drawn."""
    representative: Path | None = None
    """For the first stage: folder of the encoder in model.discriminator.representative."""
    seed: int
    data: DataSpec
    data_fingerprint: str
    """Fingerprint of the data set that the run began with."""
    batch: PositiveInt
    """Images per step over all ranks."""
    micro_batch: PositiveInt | None = None
    """Images per pass on one rank, which accumulates gradients over its part of the batch; by
    default the whole part at once."""
    lr: PositiveFloat
    """Learning rate of both networks, or of the generator."""
    discriminator_lr: PositiveFloat | None = None
    """The discriminator's own (two time-scale rule: Heusel et al. 2017, arXiv 1706.08500)."""
    growth: GrowthSpec
    model: ModelSpec
    objective: ObjectiveSpec
    augment: AugmentSpec | None = None
    optimizer: OptimizerSpec
    ema: EmaSpec
    engine: EngineSpec
    compile: Compile = "off"
    checkpoint: CheckpointSpec
    tick: TickSpec
    metrics: MetricsSpec = MetricsSpec()

    @property
    def images_per_step(self) -> int:
        """Reals per step, over all ranks and critic updates."""
        return self.batch * self.objective.critic_steps

    @property
    def rates(self) -> dict[Literal["generator", "discriminator"], float]:
        """Each network's learning rate."""
        return {"generator": self.lr, "discriminator": self.discriminator_lr or self.lr}

    def rank_micro_batch(self, ranks: int) -> int:
        """Images in a micro-batch of each of `ranks` ranks."""
        rank_batch = self.batch // ranks
        return min(self.micro_batch or rank_batch, rank_batch)
