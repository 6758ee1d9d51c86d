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
from progan.pipeline.exports.hugging_face import NO_DETAILS, CardDetails, write_hugging_face
from progan.pipeline.run_folder import RunFolder, existing_run, finished_stages, frozen_config
from progan.pipeline.sampling.newest import description, newest_networks
from progan.stages.metrics.evaluation import read_evaluation
from progan.stages.storage.final import DOCUMENT as MANIFEST
from progan.stages.storage.final import is_published
from progan.stages.storage.pretrained import Published, read_published

Weights = Literal["ema", "generator"]
TRAINING = "training.json"
EXTRAS = {"huggingface": "hf"}
"""Extras of the formats that have another name"""
TRAINING_GROUPS = {"seed", "model", "growth", "batch", "optimizer", "objective", "ema", "engine"}
"""Groups of the configuration that training depends on, without paths or servers."""


def export(
    run: RunFolder,
    out: Path,
    stage: int | None = None,
    *,
    formats: Sequence[str] = ("safetensors",),
    weights: Weights = "ema",
    details: CardDetails = NO_DETAILS,
    newest: bool = False,
) -> Published:
    """Write the generator of a stage, by default the last finished one, into a folder.

    With several formats each gets a folder in it. `newest`: also of a stage that still trains, from
    its newest checkpoint. RunError if no stage is finished, or if the export draws other pictures
    in a new process. To the `details` of a model card, metrics of the average are added.
    """
    config = frozen_config(run)
    if newest:
        networks = newest_networks(run, config.resolutions, stage)
        _require_whole(networks)
    else:
        last = finished_stages(run, config.resolutions, stage)[-1]
        networks = read_published(run.stage(last).final)
    with tempfile.TemporaryDirectory() as temporary:
        training = Path(temporary) / TRAINING
        write_json(training, config.model_dump(mode="json", include=TRAINING_GROUPS))
        folder = run.stage(networks.resolution)
        if weights == "ema" and is_published(folder.final):  # else nothing has been measured
            results = read_evaluation(folder).results
            name = config.data.path.rstrip("/").rpartition("/")[2]
            details = details._replace(dataset=name, results=results)
        export_networks(
            networks,
            out,
            formats=formats,
            weights=weights,
            extra_files=[training],
            details=details,
        )
    return networks


def export_from(
    source: Path,
    out: Path,
    stage: int | None,
    *,
    formats: Sequence[str],
    weights: Weights,
    details: CardDetails = NO_DETAILS,
    newest: bool = False,
) -> Published:
    """`export` from a run's folder, or from a folder of networks, such as an import."""
    run = RunFolder(source.absolute())
    if run.config.is_file() or stage is not None or newest:
        return export(
            existing_run(source),
            out,
            stage,
            formats=formats,
            weights=weights,
            details=details,
            newest=newest,
        )
    if not (source / MANIFEST).is_file():
        raise ConfigError(
            f"{source} is neither a run (it has no {run.config.name}) nor a folder of networks "
            f"(it has no {MANIFEST})"
        )
    networks = read_published(source)
    export_networks(networks, out, formats=formats, weights=weights, details=details)
    return networks


def export_networks(
    networks: Published,
    out: Path,
    *,
    formats: Sequence[str] = ("safetensors",),
    weights: Weights = "ema",
    extra_files: Sequence[Path] = (),
    details: CardDetails = NO_DETAILS,
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
            _write(kind, bundle, target, details)
            _check(kind, networks, weights, target)


def _write(kind: str, bundle: Path, target: Path, details: CardDetails) -> None:
    writer = WRITERS[kind]
    target.mkdir(exist_ok=True)
    if writer is None:
        for file in bundle.iterdir():
            shutil.copy(file, target)
        return
    try:
        if kind == "huggingface":
            write_hugging_face(bundle, target, details)
        else:
            writer(bundle, target)
    except ImportError as error:
        raise RunError(
            f"--format {kind} needs {error.name}, which is not installed: "
            f"pip install 'progan[{EXTRAS.get(kind, kind)}]'"
        ) from error


def _check(kind: str, networks: Published, weights: Weights, target: Path) -> None:
    import torch

    from progan.pipeline.exports.check import check, fixed_latents
    from progan.pipeline.sampling.generate import load_networks

    generator = load_networks(networks, weights)
    latents = fixed_latents(generator.model.inputs)
    expected = generator(torch.from_numpy(latents)).numpy()
    check(kind, target, latents, expected)


def _require_whole(networks: Published) -> None:
    """RunError in a fade, in which a generator draws with two resolutions' layers."""
    if networks.fade is not None and networks.fade < 1:
        raise RunError(
            f"{description(networks)}: an export has no fade; wait until it is over, export an "
            "earlier stage (without --checkpoint), or draw from the run: progan generate RUN OUT"
        )


def _require_free(out: Path) -> None:
    """ConfigError if a file, a link, or a folder that is not empty, is there already."""
    is_empty = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    if os.path.lexists(out) and not is_empty:
        raise ConfigError(f"{out} is there already: choose another OUT, or remove it")
