"""What tests of all importers need: the imported discriminator, malicious and refused files."""

import os
from pathlib import Path
from typing import Any

import pytest

from progan.datasets.errors import DataError
from progan.pipeline.cli.main import EXIT_DATA, exit_code
from progan.pipeline.imports.formats import import_checkpoint
from progan.stages.networks.discriminator import Discriminator
from progan.stages.storage.pretrained import read_published
from progan.stages.storage.tensors import read_tensors


def imported_discriminator(folder: Path) -> Discriminator:
    """The discriminator in an import's folder."""
    networks = read_published(folder)
    discriminator = Discriminator(networks.model, networks.resolution)
    discriminator.load_state_dict(read_tensors(networks.files["discriminator"]))
    return discriminator.requires_grad_(False)


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def assert_refused(path: Path, kind: str, says: str) -> None:
    """The import fails in one line that begins with the file's name, and writes nothing."""
    with pytest.raises(DataError) as caught:
        import_checkpoint(path, path.with_name("out"), kind, None)
    message = str(caught.value)
    assert says in message and message.startswith(f"{path}: "), message
    assert "\n" not in message and len(message) < 400
    assert exit_code(caught.value) == EXIT_DATA
    assert not path.with_name("out").exists()
