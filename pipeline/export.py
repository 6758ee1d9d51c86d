"""A finished generator as files that live without the run, and without progan."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from progan.datasets.files import sync, write_json
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.exports.bundle import write_bundle
from progan.pipeline.exports.formats import WRITERS
from progan.pipeline.run_folder import RunFolder, existing_run, frozen_config
from progan.stages.storage.final import DOCUMENT as MANIFEST
from progan.stages.storage.final import is_done
from progan.stages.storage.pretrained import Published, read_published

Weights = Literal["ema", "generator"]
TRAINING = "training.json"
TOLD = {"seed", "model", "growth", "batch", "optimizer", "objective", "ema", "engine"}
"""Groups of the configuration that made a generator what it is, and name no path or server."""


def export(
    run: RunFolder,
    out: Path,
    stage: int | None = None,
    *,
    formats: Sequence[str] = ("safetensors",),
    weights: Weights = "ema",
) -> Published:
    """Write the generator of a stage, by default the last one done, into a folder.

    With several formats each gets a folder in it. RunError if nothing is finished, or if what was
    written draws other pictures in a fresh process.
    """
    networks = read_published(run.stage(_chosen(run, stage)).final)
    with tempfile.TemporaryDirectory() as temporary:
        told = Path(temporary) / TRAINING
        write_json(told, frozen_config(run).model_dump(mode="json", include=TOLD))
        export_networks(networks, out, formats=formats, weights=weights, beside=[told])
    return networks


def export_from(
    source: Path, out: Path, stage: int | None, *, formats: Sequence[str], weights: Weights
) -> Published:
    """`export` of a run's folder, or of networks that lie elsewhere, such as an import."""
    if stage is not None or not (source / MANIFEST).is_file():
        return export(existing_run(source), out, stage, formats=formats, weights=weights)
    networks = read_published(source)
    export_networks(networks, out, formats=formats, weights=weights)
    return networks


def export_networks(
    networks: Published,
    out: Path,
    *,
    formats: Sequence[str] = ("safetensors",),
    weights: Weights = "ema",
    beside: Sequence[Path] = (),
) -> None:
    """Write networks, whoever trained them, as `export` does; `beside` are files that go along."""
    _may_be_written(out)
    with tempfile.TemporaryDirectory() as temporary, whole_folder(out) as folder:
        plain = Path(temporary) / "generator"
        plain.mkdir()
        write_bundle(networks, weights, plain)
        for file in beside:
            shutil.copy(file, plain)
        for kind in formats:
            target = folder / kind if len(formats) > 1 else folder
            _write(kind, plain, target)
            _check(kind, networks, weights, target)


def _write(kind: str, plain: Path, target: Path) -> None:
    writer = WRITERS[kind]
    if writer is None:
        shutil.copytree(plain, target, dirs_exist_ok=True)
        return
    target.mkdir(exist_ok=True)
    try:
        writer(plain, target)
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


def _chosen(run: RunFolder, stage: int | None) -> int:
    finished = [r for r in frozen_config(run).resolutions if is_done(run.stage(r).final)]
    if not finished:
        raise RunError(f"no stage of {run.path} is finished yet: progan status {run.path}")
    if stage is None:
        return finished[-1]
    if stage not in finished:
        raise RunError(f"stage {stage} of {run.path} is not finished; finished are {finished}")
    return stage


def _may_be_written(out: Path) -> None:
    """ConfigError where something would be lost."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError(f"{out} is there already: choose another OUT, or remove it")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write to; it takes its name, free or an empty one's, if the block ends well."""
    path = path.absolute()
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            sync(file)
        os.replace(temporary, path)
        sync(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
