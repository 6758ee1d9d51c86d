"""A finished stage's `final` folder: its manifest and whether it is valid; no torch."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from progan.stages.specs.model import ModelSpec
from progan.stages.storage.sealed_folder import unseal

DOCUMENT = "manifest.json"


class Final(BaseModel):
    """manifest.json of a `final` folder: what its networks are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: int
    images_seen: int
    model: ModelSpec
    seed: int
    data_fingerprint: str
    classes: tuple[str, ...] = ()
    """Names of the classes that the networks are conditioned on, by label."""


def read_final(folder: Path) -> Final:
    """A finished stage's manifest, all checksums verified; StageError if the folder is damaged."""
    return Final.model_validate(unseal(folder, DOCUMENT))


def is_done(folder: Path) -> bool:
    """Whether a stage's `final` folder exists; StageError if it does, but is damaged."""
    if not folder.exists():
        return False
    read_final(folder)
    return True
