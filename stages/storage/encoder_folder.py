"""Folders of pretrained encoders, which `progan pretrain` writes; no torch."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from progan.datasets.files import sha256_file
from progan.stages.errors import NetworksError, NoNetworksError, StageError
from progan.stages.specs.base import first_problem
from progan.stages.specs.model import Channels, RepresentativeSpec, Resolution
from progan.stages.storage.sealed_folder import unseal

DOCUMENT = "encoder.json"
WEIGHTS = "encoder.safetensors"
DECODER = "decoder.safetensors"
PICTURE = "reconstructions.png"


class PretrainedEncoder(BaseModel):
    """encoder.json: the shape of an autoencoder's encoder, and how it was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["progan-encoder"] = "progan-encoder"
    version: Literal[1] = 1
    resolution: Resolution
    channels: Channels
    fmap_base: int
    fmap_max: int
    images_seen: int
    batch: int
    lr: float
    seed: int
    data_fingerprint: str
    reconstruction_error: float
    """Mean squared error of the trained pictures' values, in [-1, 1]"""


def read_encoder(folder: Path) -> tuple[PretrainedEncoder, RepresentativeSpec]:
    """An encoder's document and what a discriminator's spec says of it, checksums verified.

    NetworksError if the folder is damaged or holds none.
    """
    if not (folder / DOCUMENT).is_file():
        raise NoNetworksError(
            f"{folder} holds no pretrained encoder; make one with: progan pretrain DATASET OUT"
        )
    try:
        document = PretrainedEncoder.model_validate(unseal(folder, DOCUMENT))
        sha256 = sha256_file(folder / WEIGHTS)
    except ValidationError as error:
        raise NetworksError(f"{folder / DOCUMENT} is damaged: {first_problem(error)}") from error
    except FileNotFoundError as error:
        raise NetworksError(f"{folder / WEIGHTS} is missing") from error
    except StageError as error:
        raise NetworksError(str(error)) from error
    shape = document.model_dump(include={"resolution", "fmap_base", "fmap_max"})
    return document, RepresentativeSpec(**shape, sha256=sha256)
