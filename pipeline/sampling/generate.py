"""Pictures from an exported generator."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import Tensor

from progan.datasets.files import whole_folder, write_whole
from progan.pipeline.errors import ConfigError
from progan.pipeline.run.progress_display import track
from progan.pipeline.sampling.latents import seed_latents, truncate
from progan.pipeline.sampling.selection import parse_class, parse_codes
from progan.stages.errors import NetworksError
from progan.stages.images import grid, png, single
from progan.stages.networks.conditioning import cycling_labels, with_conditions
from progan.stages.networks.generator import Generator
from progan.stages.rng import grid_latents
from progan.stages.storage.pretrained import Published, read_published
from progan.stages.storage.weights import fitting_weights

FILE_SUFFIX = re.compile(r"\.[0-9]{0,2}[A-Za-z][A-Za-z0-9]{0,4}")
"""As of a file: .txt, .jpeg, .jp2; a folder's name may end in .5"""
BATCH = 16
"""Pictures in one forward pass"""


def load_generator(folder: Path) -> Generator:
    """The averaged generator in a folder: an export, an import or a stage's `final/`.

    Verifies its checksums; NetworksError if it is incomplete or damaged.
    """
    return load_networks(read_published(folder), "ema")


def load_networks(networks: Published, name: Literal["ema", "generator"]) -> Generator:
    """The generator of published networks, or its moving average.

    NetworksError unless its file holds the weights of a generator of the published shape.
    """
    file = networks.files[name]
    try:
        with torch.device("meta"):  # takes no memory for what only the folder's document claims
            described = Generator(networks.model, networks.resolution)
    except Exception as error:  # of torch, by what is wrong
        reason = str(error).splitlines()[0][:200]
        raise NetworksError(f"{file}: no generator has the shape described: {reason}") from error
    weights = fitting_weights(file, described)
    generator = Generator(networks.model, networks.resolution)
    generator.load_state_dict(weights)
    return generator.eval().requires_grad_(False)


def draw(generator: Generator, num: int, seed: int) -> Tensor:
    """Pictures (num, C, R, R) in float32 on the CPU; a larger `num` adds to those of a smaller one.

    Classes, if there are any, cycle.
    """
    model = generator.model
    latents = grid_latents(seed, num, model.noise)
    labels = cycling_labels(num, model.classes)
    return draw_latents(generator, with_conditions(latents, labels, model))


def draw_latents(generator: Generator, latents: Tensor) -> Tensor:
    """Latents with conditions, (N, inputs) -> pictures (N, C, R, R) in float32 on the CPU."""
    return torch.cat(list(_draw_batches(generator, latents)))


def _draw_batches(generator: Generator, latents: Tensor) -> Iterator[Tensor]:
    """The same in batches, drawn lazily."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator.to(device)
    for batch in torch.split(latents, BATCH):
        yield generator(batch.to(device)).cpu()


def generate(
    model: Path,
    out: Path,
    *,
    num: int = 64,
    seed: int = 0,
    seeds: list[int] | None = None,
    truncation: float | None = None,
    class_: str | None = None,
    codes: Sequence[str] = (),
) -> int:
    """Write a grid if `out` ends in .png, else single PNG files into the folder `out`: all or none.

    With `seeds`, each determines one picture, independent of the others; without, `num` pictures
    are drawn from `seed`. `class_`: name or label of the class of all pictures; without, classes
    cycle, by seed if there are `seeds`. `codes`: NUMBER=VALUE words; other codes are random.

    Returns the number of pictures. ConfigError if `out` has the suffix of another kind of file,
    if a single file is there already, or if there is no such class or code.
    """
    to_grid = _is_grid(out)
    published = read_published(model)
    generator = load_networks(published, "ema")
    size = generator.model.noise
    labels = class_labels(seeds or range(num), published, class_)
    latents = seed_latents(seeds, size) if seeds else grid_latents(seed, num, size)
    stems = [f"seed{s:06d}" for s in seeds] if seeds else [f"{seed}-{i:06d}" for i in range(num)]
    if truncation is not None:
        latents = truncate(latents, truncation)
    for number, noise in parse_codes(codes, generator.model.generator.codes).items():
        latents[:, generator.model.latent + number] = noise
    latents = with_conditions(latents, labels, generator.model)
    images = (image for batch in _draw_batches(generator, latents) for image in batch)
    tracked = track(images, out.name, len(latents))
    if to_grid:
        columns = math.ceil(math.sqrt(len(latents)))
        write_whole(out, png(grid(torch.stack(list(tracked)), columns)))
    else:
        _write_singles(out, [f"{stem}.png" for stem in stems], tracked)
    return len(latents)


def class_labels(numbers: Sequence[int], published: Published, class_: str | None) -> Tensor:
    """Labels (N,): all `class_`, or without it each picture's number modulo the classes."""
    labels = torch.tensor(numbers) % max(1, published.model.classes)
    return labels if class_ is None else labels.fill_(parse_class(class_, published.classes))


def _write_singles(out: Path, names: Sequence[str], images: Iterable[Tensor]) -> None:
    """Write PNG files into a folder. They get their names when all are drawn.

    ConfigError if `out` is no folder, or has a file of one of these names.
    """
    if not out.exists():
        with whole_folder(out) as folder:
            for name, image in zip(names, images, strict=True):
                (folder / name).write_bytes(png(single(image)))
        return
    if not out.is_dir():
        raise ConfigError(f"{out} is a file: choose a name that ends in .png, or another folder")
    existing = {path.name for path in out.iterdir()} & set(names)
    if existing:
        raise ConfigError(
            f"{out / min(existing)} is there already: choose another OUT, or remove it"
        )
    with TemporaryDirectory(prefix=".", suffix=".tmp", dir=out) as temporary:
        for name, image in zip(names, images, strict=True):
            write_whole(Path(temporary) / name, png(single(image)))
        for name in dict.fromkeys(names):
            (Path(temporary) / name).rename(out / name)


def _is_grid(out: Path) -> bool:
    """Whether `out` names a PNG file rather than a folder."""
    if out.suffix.lower() == ".png":
        return True
    if FILE_SUFFIX.fullmatch(out.suffix) and not out.is_dir():
        raise ConfigError(
            f"{out}: a grid is written as .png, single pictures into a folder; if {out.name} is to "
            "be a folder, make it first"
        )
    return False
