"""Folders of pretrained networks, to sample from, export or train on; no torch.

Such a folder is a stage's `final/`, an import, or an export that holds weights.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError
from safetensors import SafetensorError, safe_open

from progan.datasets.files import sha256_file
from progan.stages.errors import NetworksError, NoNetworksError, StageError
from progan.stages.specs.base import first_problem
from progan.stages.specs.model import ModelSpec, Resolution
from progan.stages.storage import final

Network = Literal["generator", "discriminator", "ema", "encoder"]
WEIGHTS = "generator.safetensors"
DOCUMENT = "generator.json"
DOCUMENTS = (DOCUMENT, "config.json", f"artifacts/generator/{DOCUMENT}")
"""Where an export's document is: by itself, for Hugging Face, within an MLflow model."""

PICTURES = "float32 (N, model.channels, resolution, resolution), [-1, 1] is black to white"


def describe_inputs(model: ModelSpec) -> str:
    """A generator's inputs, in words."""
    text = f"float32 (N, {model.inputs}): {model.latent} from N(0, 1)"
    if model.classes:
        text += f", then the class one-hot, {model.classes}"
    codes = model.generator.codes
    for size in codes.categorical:
        text += f", then a code one-hot, {size}"
    if codes.continuous:
        text += f", then codes from -1 to 1, {codes.continuous}"
    if model.indices:
        text += f", then which generator draws one-hot, {model.indices}"
    return text


def describe_pictures(model: ModelSpec) -> str:
    """A generator's outputs, in words."""
    alpha = ", of the last channel transparent to opaque; colors are not multiplied by it"
    return PICTURES + (alpha if model.channels == 4 else "")


class ExportedGenerator(BaseModel):
    """generator.json: what the exported file is and how to use it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["progan-generator"] = "progan-generator"
    version: Literal[1] = 1
    resolution: Resolution
    model: ModelSpec
    images_seen: NonNegativeInt
    weights: Literal["ema", "generator"] = "ema"
    """The moving average, or the generator as trained."""
    latents: str
    classes: tuple[str, ...] = ()
    """Names of the classes, in the order of their columns after the latent's."""
    pictures: str = PICTURES
    file: Annotated[str, Field(pattern=r"^\w[\w.-]{0,200}$")] = WEIGHTS
    """In the document's folder, perhaps as a link, as in the Hub's cache; a name without a path"""
    opset: int | None = None
    """Of an ONNX file."""
    sha256: str
    """Of the file"""


@dataclass(frozen=True)
class Published:
    """The networks of such a folder."""

    resolution: int
    model: ModelSpec
    images_seen: int
    classes: tuple[str, ...]
    """Names of the classes that they are conditioned on, by label"""
    files: dict[Network, Path]
    """In an export, one file is both the generator and its average."""
    checksums: dict[Network, str]
    fade: float | None = None
    """Of a stage in training that has grown: its resolution's weight, alpha. The files then hold
    the previous resolution's toRGB layer, too"""

    @property
    def fingerprint(self) -> str:
        """Changes with any weight."""
        return hashlib.sha256(json.dumps(self.checksums, sort_keys=True).encode()).hexdigest()


def read_published(folder: Path) -> Published:
    """The networks of a folder, checksums verified. NetworksError if it is damaged or has none.

    Whether the files hold the networks that the document describes is found when they are loaded.
    """
    if (folder / final.DOCUMENT).is_file():
        published = _final(folder)
    else:
        documents = [folder / name for name in DOCUMENTS if (folder / name).is_file()]
        if not documents:
            raise NoNetworksError(
                f"{folder} is no exported generator: it has no {DOCUMENT}; "
                "make one with: progan export RUN OUT"
            )
        published = _exported(documents[0])
    if len(published.classes) not in (0, published.model.classes):
        names, classes = len(published.classes), published.model.classes
        raise NetworksError(f"{folder} is damaged: it has {names} names for {classes} classes")
    for file in published.files.values():
        _require_safetensors(file)
    return published


def read_exported(path: Path) -> ExportedGenerator:
    """An export's document. NetworksError if it is damaged or not one."""
    try:
        return ExportedGenerator.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise NetworksError(
            f"{path} is damaged or not from progan ({first_problem(error)}); export again"
        ) from error


def _require_safetensors(path: Path) -> None:
    try:
        with safe_open(path, "numpy"):  # verifies the header
            pass
    except SafetensorError as error:
        raise NetworksError(f"{path} is no safetensors file, or damaged: {error}") from error


def _final(folder: Path) -> Published:
    try:
        published = final.read_final(folder)
    except StageError as error:
        raise NetworksError(str(error)) from error
    files = network_files(folder)
    return Published(
        resolution=published.resolution,
        model=published.model,
        images_seen=published.images_seen,
        classes=published.classes,
        files=files,
        checksums={name: sha256_file(file) for name, file in files.items()},
    )


def network_files(folder: Path) -> dict[Network, Path]:
    """The files of networks in a stage's folder; NetworksError without a generator's."""
    names: tuple[Network, ...] = ("generator", "discriminator", "ema", "encoder")
    files = {name: folder / f"{name}.safetensors" for name in names}
    existing = {name: file for name, file in files.items() if file.is_file()}
    if not {"generator", "ema"} <= existing.keys():
        raise NetworksError(f"{folder} has no generator, or no average of it (ema.safetensors)")
    return existing


def _exported(path: Path) -> Published:
    document = read_exported(path)
    weights = path.parent / document.file
    if weights.suffix != ".safetensors":
        raise NetworksError(
            f"{path.parent} holds {document.file}, which progan writes but does not read; "
            "use an export with --format safetensors or huggingface"
        )
    if not weights.is_file() or sha256_file(weights) != document.sha256:
        raise NetworksError(f"{weights} is missing or damaged; export the generator again")
    return Published(
        resolution=document.resolution,
        model=document.model,
        images_seen=document.images_seen,
        classes=document.classes,
        files={"generator": weights, "ema": weights},
        checksums={"generator": document.sha256, "ema": document.sha256},
    )
