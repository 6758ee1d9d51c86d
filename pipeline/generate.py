"""Pictures from an exported generator."""

import math
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from progan.datasets.files import sha256_file, write_whole
from progan.pipeline.errors import RunError
from progan.pipeline.export import DOCUMENT, WEIGHTS, ExportedGenerator
from progan.stages.networks.generator import Generator
from progan.stages.pictures import grid, png, single
from progan.stages.randomness import grid_latents
from progan.stages.tensors import read_tensors

DRAWN_AT_ONCE = 16


def load_generator(folder: Path) -> Generator:
    """The generator in an export's folder, its checksum verified. RunError if it is not whole."""
    try:
        document = ExportedGenerator.model_validate_json((folder / DOCUMENT).read_bytes())
    except FileNotFoundError as error:
        raise RunError(
            f"{folder} is no exported generator: it has no {DOCUMENT}; "
            "make one with: progan export RUN OUT"
        ) from error
    except ValidationError as error:
        raise RunError(f"{folder / DOCUMENT} is damaged; export the generator again") from error
    weights = folder / WEIGHTS
    if not weights.is_file() or sha256_file(weights) != document.sha256:
        raise RunError(f"{weights} is missing or damaged; export the generator again")
    generator = Generator(document.model, document.resolution)
    generator.load_state_dict(read_tensors(weights))
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
