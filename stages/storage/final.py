"""The published end of a stage, as far as it can be judged without torch."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from progan.stages.specs.model import ModelSpec
from progan.stages.storage.sealed_folder import unseal

DOCUMENT = "manifest.json"


class Final(BaseModel):
    """manifest.json of a `final` folder: what the networks beside it are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: int
    images_seen: int
    model: ModelSpec
    seed: int
    data_fingerprint: str
    classes: tuple[str, ...] = ()
    """Names of the classes that the networks were told, by label."""


def read_final(folder: Path) -> Final:
    """What a finished stage published, its checksums verified; StageError if it is not whole."""
    return Final.model_validate(unseal(folder, DOCUMENT))


def is_done(folder: Path) -> bool:
    """Whether a stage's `final` folder is there; StageError if it is, but not whole."""
    if not folder.exists():
        return False
    read_final(folder)
    return True
