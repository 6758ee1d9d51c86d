"""What tests of all importers need: the imported discriminator, and a malicious object."""

import os
from pathlib import Path
from typing import Any

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
