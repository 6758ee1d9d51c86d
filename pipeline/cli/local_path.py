"""The type of arguments and options that name a local file or folder."""

import os
from pathlib import Path
from typing import Any

import click

from progan.datasets.format.location import is_url


class LocalPath(click.Path):
    """A pathlib.Path; refuses URLs, of which Path would silently make a folder named `s3:`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        context: click.Context | None,
    ) -> Any:
        """The path; a usage error for a URL."""
        if is_url(str(value)):
            self.fail(
                f"{value} is a URL, and this must be on a local or shared disk: name a folder or "
                "file there, and copy it afterwards",
                param,
                context,
            )
        return super().convert(value, param, context)
