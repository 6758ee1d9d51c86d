"""Pictures from an exported generator."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from progan.datasets.files import write_whole
from progan.pipeline.errors import ConfigError
from progan.pipeline.run.progress_display import track
from progan.pipeline.sampling.latents import seed_latents, truncate
from progan.pipeline.sampling.selection import class_number, code_noise
from progan.stages.images import grid, png, single
from progan.stages.networks.conditioning import cycling_labels, with_conditions
from progan.stages.networks.generator import Generator
from progan.stages.networks.spectral import fitted
from progan.stages.rng import grid_latents
from progan.stages.storage.pretrained import Published, read_published
from progan.stages.storage.tensors import read_tensors

DRAWN_AT_ONCE = 16


def load_generator(folder: Path) -> Generator:
    """The generator in a folder: an export, an import, a stage's `final/`, its checksums verified.

    Raises StageError if it is not whole.
    """
    return load_networks(read_published(folder), "ema")


def load_networks(networks: Published, name: Literal["ema", "generator"]) -> Generator:
    """The average or the generator itself of published networks."""
    generator = Generator(networks.model, networks.resolution)
    generator.load_state_dict(fitted(read_tensors(networks.files[name]), generator))
    return generator.eval().requires_grad_(False)


def draw(generator: Generator, num: int, seed: int) -> Tensor:
    """Pictures (num, C, R, R) in float32 on the CPU. The same seed begins with the same ones.

    Their classes, if there are any, take turns.
    """
    model = generator.model
    latents = grid_latents(seed, num, model.noise)
    turns = cycling_labels(num, model.classes)
    return draw_latents(generator, with_conditions(latents, turns, model))


def draw_latents(generator: Generator, latents: Tensor) -> Tensor:
    """Pictures (N, C, R, R) in float32 on the CPU, of latents (N, inputs)."""
    return torch.cat(list(_drawn(generator, latents)))


def _drawn(generator: Generator, latents: Tensor) -> Iterator[Tensor]:
    """The same in parts, each drawn when it is asked for."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator.to(device)
    for part in torch.split(latents, DRAWN_AT_ONCE):
        yield generator(part.to(device)).cpu()


def generate(
    model: Path,
    out: Path,
    *,
    num: int = 64,
    seed: int = 0,
    seeds: list[int] | None = None,
    truncation: float | None = None,
    wanted: str | None = None,
    codes: Sequence[str] = (),
) -> int:
    """Write a grid if `out` is named like a PNG, else single PNGs into the folder `out`.

    With `seeds`, each names one picture, whatever the others are; without, `num` pictures come from
    one seed. All are of the class `wanted`; without, the classes take turns, by seed if there are
    `seeds`. `codes` are those to set, NUMBER=VALUE; the others are drawn too. Returns the number of
    pictures. ConfigError if `out` is named like another kind of picture, or if there is no such
    class or code.
    """
    to_grid = _is_grid(out)
    published = read_published(model)
    generator = load_networks(published, "ema")
    size = generator.model.noise
    labels = labels_of(seeds or range(num), published, wanted)
    latents = seed_latents(seeds, size) if seeds else grid_latents(seed, num, size)
    names = [f"seed{s:06d}" for s in seeds] if seeds else [f"{seed}-{i:06d}" for i in range(num)]
    if truncation is not None:
        latents = truncate(latents, truncation)
    for number, noise in code_noise(codes, generator.model.generator.codes).items():
        latents[:, generator.model.latent + number] = noise
    latents = with_conditions(latents, labels, generator.model)
    images = (image for part in _drawn(generator, latents) for image in part)
    bar = track(images, out.name, len(latents))
    if to_grid:
        columns = math.ceil(math.sqrt(len(latents)))
        write_whole(out, png(grid(torch.stack(list(bar)), columns)))
    else:
        for name, image in zip(names, bar, strict=True):
            write_whole(out / f"{name}.png", png(single(image)))
    return len(latents)


def labels_of(numbers: Sequence[int], published: Published, wanted: str | None) -> Tensor:
    """The class of each picture, (N,): the one that is wanted, or all in turn by their numbers."""
    labels = torch.tensor(numbers) % max(1, published.model.classes)
    return labels if wanted is None else labels.fill_(class_number(wanted, published.classes))


def _is_grid(out: Path) -> bool:
    """Whether one file is wanted, or a folder."""
    kind = out.suffix.lower()
    if kind == ".png":
        return True
    if kind in Image.registered_extensions():
        raise ConfigError(f"{out}: a grid is written as .png, single pictures into a folder")
    return False
