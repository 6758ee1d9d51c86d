"""The configuration of the data of a run."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from progan.datasets.format.location import LocalFile, absolute


def held_out_samples(num_samples: int, share: float) -> int:
    """The number of samples that a share of a data set is."""
    return round(num_samples * share)


class DataSpec(BaseModel):
    """The pictures that a run is trained on, and how they are read."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    path: str
    """Folder written by `progan prepare`, or the URL of a copy of it (s3://..., gs://...)."""
    mirror: bool = True
    """Flip half of the pictures left to right. Turn it off if left and right differ, as in text."""
    cache_gb: float = Field(default=4.0, ge=0, le=1e6)
    """Memory (10^9 bytes) of each rank's cache of decoded pictures. If a resolution does not fit,
    it holds as many pictures as fit; the others are decoded whenever they are shown."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Threads with which each rank reads and decodes. By default its share of the processors less
    one, at least 2 and at most 8, but 1 for local pictures below 64x64."""
    cache_folder: LocalFile | None = None
    """Folder for copies of remote shards; by default ~/.cache/progan."""

    @field_validator("path", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    def absolute(self) -> "DataSpec":
        """The same data set, independent of the working directory."""
        folder = self.cache_folder and self.cache_folder.expanduser().absolute()
        return self.model_copy(update={"path": absolute(self.path), "cache_folder": folder})
