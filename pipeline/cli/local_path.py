"""The types of arguments and options that name a local file or folder, or where else one may be."""

import os
from pathlib import Path
from typing import Any

import click

from progan.datasets.format.location import is_url
from progan.pipeline.config.secrets import has_credentials
from progan.pipeline.sampling.hub import SCHEME


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


class StoredPath(LocalPath):
    """A folder to make, or the URL of one on object storage, which stays text."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        context: click.Context | None,
    ) -> Any:
        """The path, or the URL as it is; a usage error for one with credentials."""
        url = str(value)
        if "://" not in url:
            return super().convert(value, param, context)
        if has_credentials(url):
            self.fail(
                "a URL with credentials: leave them out, and give them as the service's libraries "
                "read them, for example in ~/.aws/credentials",
                param,
                context,
            )
        return url


class ModelPath(LocalPath):
    """A folder of networks, or hf://USER/NAME for `model_folder`, which stays text."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        context: click.Context | None,
    ) -> Any:
        """The path, or the reference as it is."""
        if str(value).startswith(SCHEME):
            return str(value)
        return super().convert(value, param, context)
