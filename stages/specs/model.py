"""The networks' architecture that a configuration can ask for; no torch.

`model.discriminator.head` is a name, or a map with `kind` and the head's own keys.
"""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from progan.stages.specs.base import Spec, named

FIRST_RESOLUTION = 4
LAST_RESOLUTION = 1024


class ScalarHead(Spec):
    """One logit (the paper's)."""

    kind: Literal["scalar"] = "scalar"


class AcganHead(Spec):
    """One logit, and a guess at the picture's class, which both networks want to be right."""

    kind: Literal["acgan"]
    weight: PositiveFloat = 1.0
    """Of the classification loss, in both networks' objectives."""


class ProjectionHead(Spec):
    """One logit, to which the class asked for adds its own projection of the features."""

    kind: Literal["projection"]


class InfoganHead(Spec):
    """One logit, and a guess at the codes a fake was drawn from, which both networks want right."""

    kind: Literal["infogan"]
    weight: PositiveFloat = 1.0
    """Of the mutual information's bound, lambda in the paper."""


class AutoencoderHead(Spec):
    """An energy: how far a picture is from its reconstruction by a decoder that grows too."""

    kind: Literal["autoencoder"]
    power: Literal[1, 2] = 1
    """Of the differences: 1 as in BEGAN, 2 as in EBGAN."""


AnyHead = ScalarHead | AcganHead | ProjectionHead | InfoganHead | AutoencoderHead
HeadSpec = Annotated[AnyHead, Field(discriminator="kind"), BeforeValidator(named)]


def _resolution(value: int) -> int:
    last = LAST_RESOLUTION
    if value <= FIRST_RESOLUTION or last % value or value > last:
        raise ValueError(f"must be a power of two from {2 * FIRST_RESOLUTION} to {last}")
    return value


AttentionAt = tuple[Annotated[int, AfterValidator(_resolution)], ...]
"""Resolutions whose blocks have self-attention (SAGAN)"""


class CodesSpec(Spec):
    """Latent variables that an infogan head learns to read off the pictures."""

    categorical: tuple[Annotated[int, Field(ge=2)], ...] = ()
    """The number of values of each."""
    continuous: NonNegativeInt = 0
    """How many from -1 to 1."""

    @property
    def count(self) -> int:
        """How many codes there are."""
        return len(self.categorical) + self.continuous

    @property
    def width(self) -> int:
        """Numbers that tell them, the categorical ones one-hot."""
        return sum(self.categorical) + self.continuous


class GeneratorSpec(Spec):
    """What the generator has besides the paper's."""

    attention: AttentionAt = ()
    codes: CodesSpec = CodesSpec()
    """TrackingState beside the latent; they need model.discriminator.head=infogan."""
    norm: Literal["pixel", "none", "batch", "virtual_batch"] = "pixel"
    """What follows each layer (networks/norms.py)."""
    norm_group: Annotated[int, Field(ge=2)] = 8
    """For batch: consecutive samples that are normalised together while training."""
    reference: Annotated[int, Field(ge=2)] = 32
    """For batch and virtual_batch: samples in the reference batch, which is drawn once."""

    @property
    def refers(self) -> bool:
        """Whether there is a reference batch."""
        return self.norm in ("batch", "virtual_batch")


class DiscriminatorSpec(Spec):
    """What the discriminator has besides the paper's, or instead."""

    attention: AttentionAt = ()
    minibatch: Literal["stddev", "discrimination", "none"] = "stddev"
    """How it compares the samples of a group: by the standard deviation of their features (the
    paper's), by learned distances between them (Salimans et al. 2016), or not at all."""
    norm: Literal["none", "batch", "layer"] = "none"
    """What follows each layer but fromRGB and the dense ones (networks/norms.py)."""
    norm_group: Annotated[int, Field(ge=2)] = 8
    """For batch: consecutive samples that are normalised together."""
    critics: PositiveInt = 1
    """How many there are, each drawn apart (GMAN)."""
    head: HeadSpec = ScalarHead()
    """What it says of a picture. With `model.classes`: acgan or projection; with
    `model.generator.codes`: infogan."""


class ModelSpec(Spec):
    """Shape of both networks."""

    arch: Literal["progressive", "dcgan"] = "progressive"
    """What they are built of: the paper's blocks, or DCGAN's layers at one fixed resolution
    (networks/dcgan.py)."""
    latent: PositiveInt = 512
    """Size of the latent vector."""
    fmap_base: PositiveInt = 8192
    """Feature maps at a resolution: min(2 fmap_base / resolution, fmap_max)."""
    fmap_max: PositiveInt = 512
    channels: Literal[3] = 3
    """Channels of a picture."""
    classes: NonNegativeInt = 0
    """Of labelled pictures; the generator is told which to draw, beside its latent. 0: no labels
    are used."""
    stddev_group: PositiveInt = 4
    """Samples per group of the minibatch standard deviation, or discrimination."""
    variant: Literal["paper", "pytorch_gan_zoo", "pro_gan_pytorch"] = "paper"
    """Whose departures from the paper the networks follow: what imported weights need."""
    generator: GeneratorSpec = GeneratorSpec()
    discriminator: DiscriminatorSpec = DiscriminatorSpec()

    @property
    def equalized(self) -> bool:
        """Whether weights have an equalised learning rate (PGGAN, section 4.1)."""
        return self.arch == "progressive"

    @property
    def noise(self) -> int:
        """Random numbers that are drawn for a picture: its latent, and one for each code."""
        return self.latent + self.generator.codes.count

    @property
    def inputs(self) -> int:
        """Numbers that the generator draws it from: latent, class and codes (conditions.py)."""
        return self.latent + self.classes + self.generator.codes.width

    @property
    def compared(self) -> int:
        """Consecutive samples that the discriminator compares with each other."""
        return self.stddev_group if self.discriminator.minibatch != "none" else 1
