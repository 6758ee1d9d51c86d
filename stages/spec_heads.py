"""What the discriminator makes of its last features, as a configuration can ask for; no torch.

`model.discriminator.head` is a name, or a map with `kind` and the head's own keys. The layers are
in `networks/heads.py`.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveFloat

from progan.stages.specbase import Spec, named


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
