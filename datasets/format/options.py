"""How source pictures become samples. A data set has one fixed set of options."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

Crop = Literal["center", "random", "top", "none", "pad"]
Small = Literal["skip", "upscale", "error"]
Encoding = Literal["webp", "png", "jpeg", "npy"]


def _american(crop: Any) -> Any:
    """The first data sets say "centre"."""
    return "center" if crop == "centre" else crop


class Options(BaseModel):
    """The options of `prepare` that decide the samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop: Annotated[Crop, BeforeValidator(_american)] = "center"
    """The square to take: from the middle, at random, from the top; `none` accepts square pictures
    only, `pad` keeps the whole picture and adds background."""
    small: Small = "upscale"
    """What to do with a picture whose square is smaller than the top resolution."""
    filter: Literal["lanczos"] = "lanczos"
    """Of the resize from the cropped picture to the top resolution; lower levels are box means."""
    draft: int = 2
    """Large JPEGs are decoded at a reduced scale, never below this multiple of the target."""
    background: tuple[int, int, int] = (255, 255, 255)
    """RGB behind transparent pixels and around padded pictures."""
    codec: Encoding = "webp"
    """Of the stored samples; see `codec.py`."""
    shuffle_seed: int = 0
    """Seed of the order of the samples in the shards, and of random crops."""
