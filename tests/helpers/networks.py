"""Networks that look trained, without training."""

from pathlib import Path
from typing import Any

import torch

from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.generator import Generator
from progan.stages.specs.model import ModelSpec
from progan.stages.storage.final import Final
from progan.stages.storage.handoff import publish
from progan.stages.storage.pretrained import Published, read_published


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
