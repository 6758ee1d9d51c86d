"""Networks that look trained, without training."""

from pathlib import Path
from typing import Any

import torch

from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.networks.widths import autoencoder_model
from progan.stages.specs.model import Channels, ModelSpec, RepresentativeSpec
from progan.stages.storage import encoder_folder as encoders
from progan.stages.storage.final import Final
from progan.stages.storage.handoff import publish
from progan.stages.storage.pretrained import Published, read_published
from progan.stages.storage.sealed_folder import sealing
from progan.stages.storage.tensors import parameters, write_tensors


def published(folder: Path, resolution: int = 8, **model: Any) -> Published:
    """A stage's `final/` with random weights, biases too; average and generator differ."""
    torch.manual_seed(resolution)
    spec = ModelSpec.model_validate({"latent": 16, "fmap_base": 64, "fmap_max": 16} | model)
    networks: dict[str, torch.nn.Module] = {
        "generator": Generator(spec, resolution),
        "discriminator": Discriminator(spec, resolution),
        "ema": Generator(spec, resolution),
    }
    for network in networks.values():
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
    final = Final(
        resolution=resolution,
        images_seen=1000,
        model=spec,
        seed=0,
        data_fingerprint="none",
        classes=tuple(f"class{number}" for number in range(spec.classes)),
    )
    publish(folder, final, networks)
    return read_published(folder)


def encoder_folder(
    folder: Path,
    *,
    channels: Channels = 3,
    seed: int = 7,
    fmap_max: int = 6,
    claimed: int | None = None,
) -> RepresentativeSpec:
    """An encoder of random weights at 8x8; `claimed` is what its document says of fmap_max."""
    torch.manual_seed(seed)
    shape = RepresentativeSpec(resolution=8, fmap_base=16, fmap_max=fmap_max, sha256="")
    weights = parameters(Discriminator(autoencoder_model(shape, channels), 8))
    document = encoders.PretrainedEncoder(
        resolution=8,
        channels=channels,
        fmap_base=16,
        fmap_max=claimed or fmap_max,
        images_seen=0,
        batch=1,
        lr=1.0,
        seed=seed,
        data_fingerprint="none",
        reconstruction_error=0.0,
    )
    with sealing(folder, encoders.DOCUMENT, document.model_dump(mode="json")) as made:
        encoder = {name: each for name, each in weights.items() if not name.startswith("head.")}
        write_tensors(made / encoders.WEIGHTS, encoder)
    return encoders.read_encoder(folder)[1]
