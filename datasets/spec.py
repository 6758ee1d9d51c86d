"""The configuration of the data of a run."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from progan.datasets.format.location import LocalFile, absolute


class DataSpec(BaseModel):
    """The `data:` group of a run's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Folder written by `progan prepare`, or the URL of a copy of it (s3://..., gs://...)."""
    mirror: bool = True
    """Flip half of the pictures left to right. Turn it off if left and right differ, as in text."""
    cache_gb: float = Field(default=4.0, ge=0)
    """Memory (10^9 bytes) of each rank's cache of decoded pictures. If a resolution does not fit,
    it holds as many pictures as fit; the others are decoded whenever they are shown."""
    threads: int = Field(default=2, ge=1)
    """Threads with which each rank reads and decodes."""
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
