"""Exports a finished generator as files that depend neither on the run nor on progan."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from progan.datasets.files import whole_folder, write_json
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.exports.bundle import write_bundle
from progan.pipeline.exports.formats import WRITERS
from progan.pipeline.run_folder import RunFolder, existing_run, finished_stages, frozen_config
from progan.stages.storage.final import DOCUMENT as MANIFEST
from progan.stages.storage.pretrained import Published, read_published

Weights = Literal["ema", "generator"]
TRAINING = "training.json"
TRAINING_GROUPS = {"seed", "model", "growth", "batch", "optimizer", "objective", "ema", "engine"}
"""Groups of the configuration that training depends on, without paths or servers."""


def export(
    run: RunFolder,
    out: Path,
    stage: int | None = None,
    *,
    formats: Sequence[str] = ("safetensors",),
    weights: Weights = "ema",
) -> Published:
    """Write the generator of a stage, by default the last finished one, into a folder.

    With several formats each gets a folder in it. RunError if no stage is finished, or if the
    export draws other pictures in a new process.
    """
    config = frozen_config(run)
    resolution = finished_stages(run, config.resolutions, stage)[-1]
    networks = read_published(run.stage(resolution).final)
    with tempfile.TemporaryDirectory() as temporary:
        training = Path(temporary) / TRAINING
        write_json(training, config.model_dump(mode="json", include=TRAINING_GROUPS))
        export_networks(networks, out, formats=formats, weights=weights, extra_files=[training])
    return networks


def export_from(
    source: Path, out: Path, stage: int | None, *, formats: Sequence[str], weights: Weights
) -> Published:
    """`export` from a run's folder, or from a folder of networks, such as an import."""
    run = RunFolder(source.absolute())
    if run.config.is_file() or stage is not None:
        return export(existing_run(source), out, stage, formats=formats, weights=weights)
    if not (source / MANIFEST).is_file():
        raise ConfigError(
            f"{source} is neither a run (it has no {run.config.name}) nor a folder of networks "
            f"(it has no {MANIFEST})"
        )
    networks = read_published(source)
    export_networks(networks, out, formats=formats, weights=weights)
    return networks


def export_networks(
    networks: Published,
    out: Path,
    *,
    formats: Sequence[str] = ("safetensors",),
    weights: Weights = "ema",
    extra_files: Sequence[Path] = (),
) -> None:
    """Write networks as `export` does; `extra_files` are copied into each export."""
    _require_free(out)
    with tempfile.TemporaryDirectory() as temporary, whole_folder(out) as folder:
        bundle = Path(temporary) / "generator"
        bundle.mkdir()
        write_bundle(networks, weights, bundle)
        for file in extra_files:
            shutil.copy(file, bundle)
        for kind in formats:
            target = folder / kind if len(formats) > 1 else folder
            _write(kind, bundle, target)
            _check(kind, networks, weights, target)


def _write(kind: str, bundle: Path, target: Path) -> None:
    writer = WRITERS[kind]
    if writer is None:
        shutil.copytree(bundle, target, dirs_exist_ok=True)
        return
    target.mkdir(exist_ok=True)
    try:
        writer(bundle, target)
    except ImportError as error:
        raise RunError(
            f"--format {kind} needs {error.name}, which is not installed: "
            f"pip install 'progan[{kind}]'"
        ) from error


def _check(kind: str, networks: Published, weights: Weights, target: Path) -> None:
    import torch

    from progan.pipeline.exports.check import check, fixed_latents
    from progan.pipeline.sampling.generate import load_networks

    generator = load_networks(networks, weights)
    latents = fixed_latents(generator.model.inputs)
    expected = generator(torch.from_numpy(latents)).numpy()
    check(kind, target, latents, expected)


def _require_free(out: Path) -> None:
    """ConfigError if a file, a link, or a folder that is not empty, is there already."""
    is_empty = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    if os.path.lexists(out) and not is_empty:
        raise ConfigError(f"{out} is there already: choose another OUT, or remove it")
