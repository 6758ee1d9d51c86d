"""A finished stage's `final` folder: its manifest and whether it is valid; no torch."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from progan.stages.errors import StageError
from progan.stages.specs.base import first_problem
from progan.stages.specs.model import ModelSpec, Resolution
from progan.stages.storage.sealed_folder import read_fields, unseal

DOCUMENT = "manifest.json"
REMEDY = "copy it back, or train the stage again: progan resume RUN --stage R"


class Final(BaseModel):
    """manifest.json of a `final` folder: what its networks are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resolution: Resolution
    images_seen: NonNegativeInt
    model: ModelSpec
    seed: int
    data_fingerprint: str
    classes: tuple[str, ...] = ()
    """Names of the classes that the networks are conditioned on, by label."""
    augment_p: float | None = None
    """ADA's p at the end, with which the next resolution begins."""


def read_final(folder: Path) -> Final:
    """A finished stage's manifest, all checksums verified; StageError if the folder is damaged."""
    try:
        return Final.model_validate(unseal(folder, DOCUMENT))
    except ValidationError as error:
        problem = f"{folder / DOCUMENT} is damaged: {first_problem(error)}"
        raise StageError(f"{problem}; {REMEDY}") from error
    except StageError as error:
        raise StageError(f"{error}; {REMEDY}") from error


def is_done(folder: Path) -> bool:
    """Whether a stage's `final` folder exists; StageError if it does, but is damaged."""
    if not folder.exists():
        return False
    read_final(folder)
    return True


def is_published(folder: Path) -> bool:
    """The same, quickly: the networks are not read. StageError if the manifest does not parse."""
    if not folder.exists():
        return False
    read_fields(folder, DOCUMENT)
    return True
