"""The path of a data set: a folder, or an fsspec URL such as s3://... on object storage."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from progan.datasets.errors import DataError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_FILE_URL = "file://"

Location = str | Path
"""A folder or a URL."""


def is_url(location: Location) -> bool:
    """Whether a location is on object storage. `file://` is not."""
    text = str(location)
    return bool(_URL.match(text)) and not text.startswith(_FILE_URL)


def _not_url(value: Any) -> Any:
    """The value itself; ValueError for a URL."""
    if isinstance(value, str) and is_url(value):
        raise ValueError(f"{value} is a URL, and this must lie on a local or shared disk")
    return value


LocalFile = Annotated[Path, BeforeValidator(_not_url)]
"""A path in a configuration; Path alone would take s3://bucket for a local folder `s3:`"""


def absolute(location: Location) -> str:
    """The same location, independent of the working directory."""
    if is_url(location):
        return str(location)
    return str(Path(str(location).removeprefix(_FILE_URL)).expanduser().absolute())


def join(location: Location, name: str) -> str:
    """The name of a data set's file in messages."""
    return f"{str(location).rstrip('/')}/{name}"


def default_cache_folder() -> Path:
    """The user's folder for files that can be fetched or computed again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "progan"


def cannot_read(location: Location, name: str, error: Exception) -> DataError:
    """The error to raise for a file that exists and cannot be read."""
    text = error.strerror if isinstance(error, OSError) else None
    return DataError(f"cannot read {join(location, name)}: {text or error or type(error).__name__}")
