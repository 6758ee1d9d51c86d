"""What training needs to be told about its pictures."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class DataSpec(BaseModel):
    """The `data:` group of a run's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    """Folder written by `progan prepare`."""
    mirror: bool = True
    """Flip every other picture left to right. Turn it off for text, signs, anything with a side."""
    cache_gb: float = Field(default=4.0, ge=0)
    """Memory (10^9 bytes) each rank may use to keep a resolution decoded. A resolution that does
    not fit is decoded again whenever a picture is shown."""
    threads: int = Field(default=2, ge=1)
    """Threads each rank uses to read and decode."""
