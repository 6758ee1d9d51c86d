"""Pictures from an exported generator."""

import math
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from progan.datasets.files import write_whole
from progan.stages.networks.generator import Generator
from progan.stages.pictures import grid, png, single
from progan.stages.published import Published, read_published
from progan.stages.randomness import grid_latents
from progan.stages.tensors import read_tensors

DRAWN_AT_ONCE = 16


def load_generator(folder: Path) -> Generator:
    """The generator in a folder: an export, an import, a stage's `final/`, its checksums verified.

    Raises StageError if it is not whole.
    """
    return load_networks(read_published(folder), "ema")


def load_networks(networks: Published, name: Literal["ema", "generator"]) -> Generator:
    """The average or the generator itself of published networks."""
    generator = Generator(networks.model, networks.resolution)
    generator.load_state_dict(read_tensors(networks.files[name]))
    return generator.eval().requires_grad_(False)


def draw(generator: Generator, num: int, seed: int) -> Tensor:
    """Pictures (num, C, R, R) in float32 on the CPU. The same seed begins with the same ones."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator.to(device)
    latents = grid_latents(seed, num, generator.latent)
    parts = [generator(part.to(device)).cpu() for part in torch.split(latents, DRAWN_AT_ONCE)]
    return torch.cat(parts)


def generate(model: Path, out: Path, num: int, seed: int) -> None:
    """Write a grid if `out` is named like a PNG, else single PNGs into the folder `out`."""
    images = draw(load_generator(model), num, seed)
    if out.suffix.lower() == ".png":
        write_whole(out, png(grid(images, columns=math.ceil(math.sqrt(num)))))
        return
    for index, image in enumerate(images):
        write_whole(out / f"{seed}-{index:06d}.png", png(single(image)))
