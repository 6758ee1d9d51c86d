"""`progan pretrain`: an autoencoder's training with a progress bar, and the folder it leaves."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from torch import Tensor

from progan.datasets.format.manifest import Manifest, load_manifest
from progan.datasets.loader import Batches
from progan.datasets.spec import DataSpec
from progan.pipeline.errors import ConfigError
from progan.pipeline.run.terminal import Terminal, Words
from progan.stages.engine.numerics import set_numerics
from progan.stages.engine.pretraining import (
    draw_autoencoder,
    encoder_and_decoder,
    reconstruct,
    train_autoencoder,
)
from progan.stages.images import grid
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.widths import autoencoder_model, width
from progan.stages.rng import weight_seed
from progan.stages.specs.model import RepresentativeSpec
from progan.stages.specs.stage import EngineSpec
from progan.stages.storage.encoder_folder import (
    DECODER,
    DOCUMENT,
    PICTURE,
    WEIGHTS,
    PretrainedEncoder,
)
from progan.stages.storage.sealed_folder import sealing
from progan.stages.storage.tensors import write_tensors

LINE_SECONDS = 10.0
SHOWN, MEASURED = 8, 1024
"""Pictures shown beside their reconstructions, and at most measured"""


class Pretraining(NamedTuple):
    """How to train an autoencoder."""

    resolution: int | None
    """None: the data set's largest"""
    images: int
    batch: int
    lr: float
    fmap_base: int
    fmap_max: int
    seed: int


def pretrain(dataset: str, out: Path, wanted: Pretraining) -> PretrainedEncoder:
    """Train an autoencoder on a data set and write its encoder into a new folder, whole or not.

    The same bytes for the same data set and choices, on the same machine. ConfigError if `out`
    exists or the networks have no feature maps; DataError as `load_manifest`.
    """
    manifest = load_manifest(dataset)
    resolution = wanted.resolution or manifest.resolutions[-1]
    manifest.require(resolution, dataset)
    if out.exists():
        raise ConfigError(f"{out} is there already: choose another OUT, or remove it")
    shape = RepresentativeSpec(
        resolution=resolution, fmap_base=wanted.fmap_base, fmap_max=wanted.fmap_max, sha256=""
    )
    model = autoencoder_model(shape, manifest.channels)
    if not width(model, resolution):
        raise ConfigError(f"--fmap-base: {wanted.fmap_base} leaves no feature map at {resolution}; "
                          f"use at least {resolution // 2}")  # fmt: skip
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    set_numerics(EngineSpec(precision="fp32", tf32=on_gpu, deterministic=on_gpu))
    autoencoder = draw_autoencoder(model, resolution, weight_seed(wanted.seed, resolution))
    with Batches(
        DataSpec(path=dataset).absolute(),
        resolution,
        seed=wanted.seed,
        batch=wanted.batch,
        rank=0,
        world_size=1,
        device=device,
    ) as batches:
        steps = -(-wanted.images // wanted.batch)
        _show(train_autoencoder(autoencoder.to(device), batches, steps, wanted.lr), steps, wanted)
        reals = batches.fixed(0, MEASURED).images()
        return _write(out, autoencoder, reals, manifest, wanted, steps * wanted.batch)


def _show(errors: Iterator[Tensor], steps: int, wanted: Pretraining) -> None:
    """Train, with a bar on a terminal and a line every ten seconds elsewhere."""
    terminal = Terminal(stderr=True)
    columns = BarColumn(bar_width=30), MofNCompleteColumn(), Words("{task.fields[note]}")
    with terminal.bars(Words("steps"), *columns, TimeRemainingColumn()) as bars:
        task = bars.add_task("steps", total=steps, note="")
        began = last = time.monotonic()
        for done, error in enumerate(errors, start=1):
            now = time.monotonic()
            if now - last < (0.5 if terminal.is_terminal else LINE_SECONDS) and done < steps:
                continue
            pace = done * wanted.batch / max(now - began, 1e-9)
            note, last = f"{pace:.0f} images/s  error {error.item():.4f}", now
            bars.update(task, completed=done, note=note)
            if not terminal.is_terminal:
                terminal.say(f"{done:,} of {steps:,} steps  {note}")


def _write(
    out: Path,
    autoencoder: Discriminator,
    reals: Tensor,
    manifest: Manifest,
    wanted: Pretraining,
    images_seen: int,
) -> PretrainedEncoder:
    """Measure the error on these reals, on the CPU, and write the folder."""
    device = next(autoencoder.parameters()).device
    parts = torch.split(reals, wanted.batch)
    reconstructed = torch.cat([reconstruct(autoencoder, part.to(device)).cpu() for part in parts])
    document = PretrainedEncoder(
        resolution=autoencoder.resolution,
        channels=manifest.channels,
        fmap_base=wanted.fmap_base,
        fmap_max=wanted.fmap_max,
        images_seen=images_seen,
        batch=wanted.batch,
        lr=wanted.lr,
        seed=wanted.seed,
        data_fingerprint=manifest.fingerprint,
        reconstruction_error=(reconstructed - reals).square().mean().item(),
    )
    encoder, decoder = encoder_and_decoder(autoencoder)
    pairs = torch.cat([reals[:SHOWN], reconstructed[:SHOWN]])
    with sealing(out, DOCUMENT, document.model_dump(mode="json")) as folder:
        write_tensors(folder / WEIGHTS, encoder)
        write_tensors(folder / DECODER, decoder)
        grid(pairs, len(pairs) // 2).save(folder / PICTURE)
    return document
