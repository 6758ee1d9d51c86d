"""What training needs to be told about its pictures."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from progan.datasets.format.location import absolute


class DataSpec(BaseModel):
    """The `data:` group of a run's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Folder written by `progan prepare`, or the URL of a copy of it (s3://..., gs://...)."""
    mirror: bool = True
    """Flip every other picture left to right. Turn it off for text, signs, anything with a side."""
    cache_gb: float = Field(default=4.0, ge=0)
    """Memory (10^9 bytes) each rank may use to keep pictures decoded. Of a resolution that does
    not fit, as many as do; the others are decoded again whenever they are shown."""
    threads: int = Field(default=2, ge=1)
    """Threads each rank uses to read and decode."""
    cache_folder: Path | None = None
    """Where shards behind a URL are copied to; by default ~/.cache/progan."""

    @field_validator("path", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    def absolute(self) -> "DataSpec":
        """The same data set from whatever folder it is looked at."""
        folder = self.cache_folder and self.cache_folder.expanduser().absolute()
        return self.model_copy(update={"path": absolute(self.path), "cache_folder": folder})
