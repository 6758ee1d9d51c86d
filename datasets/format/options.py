"""How source pictures become samples. Another value gives another data set."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

Crop = Literal["center", "random", "top", "none", "pad"]
Small = Literal["skip", "upscale", "error"]
Encoding = Literal["webp", "png", "jpeg", "npy"]


def _modern(crop: Any) -> Any:
    """The first data sets spelled it otherwise."""
    return "center" if crop == "centre" else crop


class Options(BaseModel):
    """What may be chosen about every picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop: Annotated[Crop, BeforeValidator(_modern)] = "center"
    """Which square is taken: the middle, one anywhere, the upper one; `none` takes square pictures
    only, `pad` the whole picture with background around it."""
    small: Small = "upscale"
    """What to do with a picture whose square has fewer pixels than the top resolution."""
    filter: Literal["lanczos"] = "lanczos"
    """The one resize, from the cropped picture to the top resolution; below it, box means."""
    draft: int = 2
    """Large JPEGs are decoded at a reduced scale, never below this multiple of the target."""
    background: tuple[int, int, int] = (255, 255, 255)
    """What shows through transparent pixels and around padded pictures."""
    codec: Encoding = "webp"
    """How samples are stored; see `codec.py`."""
    shuffle_seed: int = 0
    """Of the order of the samples in the shards, and of random crops."""
