"""The network architectures that a configuration can ask for; no torch.

`model.discriminator.head` is a name, or a map with `kind` and the head's own keys.
"""

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from progan.stages.specs.base import Spec, named
from progan.stages.specs.penalties import Penalty

if TYPE_CHECKING:
    from progan.stages.specs.stage import StageSpec

FIRST_RESOLUTION = 4
LAST_RESOLUTION = 1024
Channels = Literal[1, 3, 4]


class Head(Spec):
    """Base of the heads."""

    uses_classes: ClassVar[bool] = False
    """Whether its output depends on a picture's class"""
    reads_codes: ClassVar[bool] = False
    """Whether it predicts a fake's codes"""

    def conflicts(self, stage: "StageSpec") -> str | None:
        """A head must use the classes and codes of its stage, and needs those that it uses."""
        head = stage.model.discriminator.head.kind
        classes, codes = stage.model.classes, stage.model.generator.codes.count
        if classes and not self.uses_classes:
            return (
                f"model.classes: a discriminator with head {head} never sees the classes, so that "
                "the generator would not learn them; set model.discriminator.head=projection or "
                "acgan"
            )
        if self.uses_classes and not classes:
            return (
                f"model.discriminator.head: {head} needs labelled pictures; set model.classes to "
                "the number of the data set's classes (progan data info DATASET)"
            )
        if codes and not self.reads_codes:
            return (
                f"model.generator.codes: a discriminator with head {head} never reads the codes, "
                "so that they would come to mean nothing; set model.discriminator.head=infogan"
            )
        if self.reads_codes and not codes:
            return (
                f"model.discriminator.head: {head} has no codes to read; set for example "
                "model.generator.codes.categorical=[10] model.generator.codes.continuous=2"
            )
        return None


class ScalarHead(Head):
    """One logit (the paper's)."""

    kind: Literal["scalar"] = "scalar"


class AcganHead(Head):
    """One logit, and class logits (AC-GAN); both networks minimise the classification loss."""

    kind: Literal["acgan"]
    weight: PositiveFloat = 1.0
    """Of the classification loss, in both networks' objectives."""
    uses_classes: ClassVar[bool] = True


class ProjectionHead(Head):
    """One logit, plus the inner product of features and class embedding (projection)."""

    kind: Literal["projection"]
    uses_classes: ClassVar[bool] = True


class InfoganHead(Head):
    """One logit, and a prediction of a fake's codes (InfoGAN); both networks minimise its error."""

    kind: Literal["infogan"]
    weight: PositiveFloat = 1.0
    """Of the lower bound of the mutual information, lambda in the paper."""
    reads_codes: ClassVar[bool] = True


class AutoencoderHead(Head):
    """An energy: the reconstruction error of an autoencoder, whose decoder grows too."""

    kind: Literal["autoencoder"]
    power: Literal[1, 2] = 1
    """Of the absolute differences: 1 as in BEGAN, 2 as in EBGAN."""


AnyHead = ScalarHead | AcganHead | ProjectionHead | InfoganHead | AutoencoderHead
HeadSpec = Annotated[AnyHead, Field(discriminator="kind"), BeforeValidator(named)]


def _power_of_two(first: int) -> AfterValidator:
    """Validates a resolution from `first` to the last."""

    def validate(value: int) -> int:
        if value < first or LAST_RESOLUTION % value or value > LAST_RESOLUTION:
            raise ValueError(f"must be a power of two from {first} to {LAST_RESOLUTION}")
        return value

    return AfterValidator(validate)


Resolution = Annotated[int, _power_of_two(FIRST_RESOLUTION)]
AttentionAt = tuple[Annotated[int, _power_of_two(2 * FIRST_RESOLUTION)], ...]
"""Resolutions whose blocks have self-attention (SAGAN)"""


class CodesSpec(Spec):
    """Latent codes that an infogan head learns to predict from the pictures."""

    categorical: tuple[Annotated[int, Field(ge=2)], ...] = ()
    """Number of values of each categorical code."""
    continuous: NonNegativeInt = 0
    """Number of codes from -1 to 1."""

    @property
    def count(self) -> int:
        """Number of codes."""
        return len(self.categorical) + self.continuous

    @property
    def width(self) -> int:
        """Inputs that encode them, the categorical ones one-hot."""
        return sum(self.categorical) + self.continuous


class GeneratorSpec(Spec):
    """The generator's departures from the paper."""

    attention: AttentionAt = ()
    """Resolutions whose blocks have self-attention (SAGAN)."""
    codes: CodesSpec = CodesSpec()
    """Concatenated to the latent; they need model.discriminator.head=infogan."""
    norm: Literal["pixel", "none", "batch", "virtual_batch"] = "pixel"
    """Normalisation after each layer (networks/norms.py)."""
    norm_group: Annotated[int, Field(ge=2)] = 8
    """For batch: consecutive samples that are normalised together while training."""
    reference: Annotated[int, Field(ge=2)] = 32
    """For batch and virtual_batch: samples in the reference batch, which is drawn once."""

    @property
    def refers(self) -> bool:
        """Whether the norm needs a reference batch."""
        return self.norm in ("batch", "virtual_batch")


class RepresentativeSpec(Spec):
    """The frozen encoder of a pretrained autoencoder, made of progressive blocks."""

    resolution: Resolution
    """Of the images it was trained on; others are resized to it."""
    fmap_base: PositiveInt
    """Feature maps of its layers, as of ModelSpec."""
    fmap_max: PositiveInt
    sha256: str
    """Of its weights."""


class DiscriminatorSpec(Spec):
    """The discriminator's departures from the paper."""

    attention: AttentionAt = ()
    """Resolutions whose blocks have self-attention (SAGAN)."""
    minibatch: Literal["stddev", "discrimination", "none"] = "stddev"
    """Minibatch feature: standard deviation over a group (the paper's), minibatch discrimination
    (learned distances, Salimans et al. 2016), or none."""
    norm: Literal["none", "batch", "layer"] = "none"
    """Normalisation after each layer except fromRGB and the dense ones (networks/norms.py)."""
    norm_group: Annotated[int, Field(ge=2)] = 8
    """For batch: consecutive samples that are normalised together."""
    critics: PositiveInt = 1
    """Number of discriminators, with independent initial weights (GMAN)."""
    head: HeadSpec = ScalarHead()
    """Its output. With `model.classes`: acgan or projection; with `model.generator.codes`:
    infogan."""
    representative: RepresentativeSpec | None = None
    """Encoder whose features the head sees beside the discriminator's own (RFGAN); set from
    `model.representative` when the run starts."""

    def conflicts(self, stage: "StageSpec") -> str | None:
        """What the norm and the encoder cannot be combined with."""
        return self._batch_norm_conflicts(stage) or self._representative_conflicts(stage)

    def _representative_conflicts(self, stage: "StageSpec") -> str | None:
        """The first stage needs the encoder's weights; a decoder has no use for its features."""
        if self.representative is None:
            return None
        if self.head.kind == "autoencoder":
            return (
                "model.representative: a head of kind autoencoder reconstructs a picture from the "
                "discriminator's features, and would copy it from the encoder's; take another head"
            )
        if not (stage.representative or stage.init or stage.grown_from):
            return (
                "model.discriminator.representative: is set by progan; set model.representative "
                "to a folder made by: progan pretrain DATASET OUT"
            )
        return None

    def _batch_norm_conflicts(self, stage: "StageSpec") -> str | None:
        """With batch norm a picture's gradient depends on the other pictures of its group."""
        found = sorted(
            each.kind
            for each in stage.objective.penalties
            if isinstance(each, Penalty) and each.input_gradient
        )
        if self.norm == "batch" and found:
            return (
                "model.discriminator.norm: with batch the slope at one picture is that of its "
                f"whole group, which {found[0]} is not meant for; use layer, or leave out the "
                "penalty"
            )
        return None


class ModelSpec(Spec):
    """Architecture of both networks."""

    arch: Literal["progressive", "dcgan"] = "progressive"
    """The paper's blocks, or DCGAN's layers at one fixed resolution (networks/dcgan.py)."""
    latent: PositiveInt = 512
    """Size of the latent vector."""
    fmap_base: PositiveInt = 8192
    """Feature maps at a resolution: min(2 fmap_base / resolution, fmap_max)."""
    fmap_max: PositiveInt = 512
    """Feature maps at the lowest resolutions."""
    channels: Channels = 3
    """Channels of a picture: grey, RGB, or RGB and alpha."""
    classes: NonNegativeInt = 0
    """Number of classes of labelled pictures, which condition the generator. 0: no labels are
    used."""
    stddev_group: PositiveInt = 4
    """Samples per group of the minibatch standard deviation, or discrimination."""
    variant: Literal["paper", "pytorch_gan_zoo", "pro_gan_pytorch"] = "paper"
    """Implementation whose departures from the paper are followed, for imported weights."""
    generators: PositiveInt = 1
    """Number of generators with first layers of their own and all others in common, one of which
    draws each picture at random (MGAN); a classifier on the discriminator's features names it."""
    generators_weight: PositiveFloat = 1.0
    """Of the classifier's loss in both networks' objectives, beta in the paper; nothing with one
    generator."""
    generator: GeneratorSpec = GeneratorSpec()
    discriminator: DiscriminatorSpec = DiscriminatorSpec()

    @property
    def equalized(self) -> bool:
        """Whether weights have an equalised learning rate (PGGAN, section 4.1)."""
        return self.arch == "progressive"

    @property
    def noise(self) -> int:
        """Random numbers per picture: the latent, one for each code, one to choose a generator."""
        return self.latent + self.generator.codes.count + (self.generators > 1)

    @property
    def indices(self) -> int:
        """Inputs that say which generator draws, one-hot; none if there is one."""
        return self.generators if self.generators > 1 else 0

    @property
    def inputs(self) -> int:
        """Size of the input: latent, class, codes, which generator (networks/conditioning.py)."""
        return self.latent + self.classes + self.generator.codes.width + self.indices

    @property
    def first_inputs(self) -> int:
        """Size of the first layer's input: of those of all generators together."""
        return self.generators * (self.inputs - self.indices)

    @property
    def compared(self) -> int:
        """Consecutive samples over which the discriminator computes minibatch features."""
        return self.stddev_group if self.discriminator.minibatch != "none" else 1

    @property
    def grouped(self) -> int:
        """Consecutive samples that do not depend on others in training, in either network."""
        networks = self.generator, self.discriminator
        norms = (each.norm_group for each in networks if each.norm == "batch")
        return math.lcm(self.compared, *norms)
