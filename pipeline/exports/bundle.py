"""The safetensors export: weights, a JSON document, and generator.py, which needs only torch."""

import json
import shutil
from pathlib import Path
from typing import Literal

from progan.datasets.files import sha256_file, write_whole
from progan.stages.storage.pretrained import (
    DOCUMENT,
    WEIGHTS,
    ExportedGenerator,
    Published,
    describe_inputs,
    describe_pictures,
    read_exported,
)

CODE = Path(__file__).parent / "standalone_generator.py"


def write_bundle(networks: Published, weights: Literal["ema", "generator"], out: Path) -> None:
    """Write generator.safetensors, generator.json and generator.py into the folder `out`."""
    from progan.pipeline.sampling.generate import load_networks
    from progan.stages.storage.tensors import parameters, write_tensors

    about = {"format": "pt", "variant": networks.model.variant}
    if networks.model.arch != "progressive":
        about["arch"] = networks.model.arch
    if networks.classes:
        about["classes"] = json.dumps(networks.classes)
    if networks.model.generator.norm != "pixel":
        about["norm"] = networks.model.generator.norm
    if networks.model.generator.codes.count:
        about["codes"] = networks.model.generator.codes.model_dump_json()
    if networks.model.generators > 1:
        about["generators"] = str(networks.model.generators)
    write_tensors(out / WEIGHTS, parameters(load_networks(networks, weights)), about)
    shutil.copyfile(CODE, out / "generator.py")
    document = ExportedGenerator(
        resolution=networks.resolution,
        model=networks.model,
        images_seen=networks.images_seen,
        weights=weights,
        latents=describe_inputs(networks.model),
        pictures=describe_pictures(networks.model),
        classes=networks.classes,
        sha256=sha256_file(out / WEIGHTS),
    )
    write_document(out / DOCUMENT, document)


def write_document(path: Path, document: ExportedGenerator) -> None:
    """Write generator.json."""
    write_whole(path, document.model_dump_json(indent=2, exclude_none=True).encode() + b"\n")


def describe_generator(model: Path, out: Path, file: str, opset: int | None = None) -> None:
    """Write generator.json for a file in `out` made from `model`, the safetensors export."""
    about = {"file": file, "opset": opset, "sha256": sha256_file(out / file)}
    document = read_exported(model / DOCUMENT).model_copy(update=about)
    write_document(out / DOCUMENT, document)
