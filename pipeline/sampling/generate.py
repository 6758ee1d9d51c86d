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
from progan.pipeline.sampling.newest import OnChoice, networks_in
from progan.pipeline.sampling.selection import noise_of_index, parse_class, parse_codes
from progan.stages.errors import NetworksError
from progan.stages.images import grid, png, single
from progan.stages.networks.conditioning import cycling_labels, with_conditions
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import Alpha
from progan.stages.rng import grid_latents
from progan.stages.specs.model import ModelSpec
from progan.stages.storage.pretrained import Published
from progan.stages.storage.weights import fitting_weights

FILE_SUFFIX = re.compile(r"\.[0-9]{0,2}[A-Za-z][A-Za-z0-9]{0,4}")
"""As of a file: .txt, .jpeg, .jp2; a folder's name may end in .5"""
MOST_GRID_PIXELS = 1 << 28
"""256 pictures of 1024x1024: 4 GB of memory while they are drawn"""
BATCH = 16
"""Pictures in one forward pass"""


class FadingGenerator(Generator):
    """The generator of a stage in its fade, which draws at the checkpoint's alpha."""

    def __init__(self, model: ModelSpec, resolution: int, fade: float) -> None:
        super().__init__(model, resolution, fading=True)
        self.fade = fade

    def forward(self, latents: Tensor, alpha: Alpha | None = None) -> Tensor:
        """See Generator."""
        return super().forward(latents, self.fade if alpha is None else alpha)


def load_generator(folder: Path) -> Generator:
    """The averaged generator in a folder: an export, an import, a stage's `final/`, or a run.

    Of a run it is the newest one, of a checkpoint if a stage still trains. Verifies its checksums;
    NetworksError if it is incomplete or damaged.
    """
    return load_networks(networks_in(folder), "ema")


def load_networks(networks: Published, name: Literal["ema", "generator"]) -> Generator:
    """The generator of published networks, or its moving average.

    NetworksError unless its file holds the weights of a generator of the published shape.
    """
    file, grown = networks.files[name], networks.fade is not None
    try:
        with torch.device("meta"):  # takes no memory for what only the folder's document claims
            described = Generator(networks.model, networks.resolution, fading=grown)
    except Exception as error:  # of torch, by what is wrong
        reason = str(error).splitlines()[0][:200]
        raise NetworksError(f"{file}: no generator has the shape described: {reason}") from error
    weights = fitting_weights(file, described)
    if networks.fade is not None and networks.fade < 1:
        generator: Generator = FadingGenerator(networks.model, networks.resolution, networks.fade)
    else:
        generator = Generator(networks.model, networks.resolution)
        unused = f"to_rgb.{networks.resolution // 2}."
        weights = {key: value for key, value in weights.items() if not key.startswith(unused)}
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
    return torch.cat(list(draw_batches(generator, latents)))


def draw_batches(generator: Generator, latents: Tensor) -> Iterator[Tensor]:
    """The same in batches of at most BATCH pictures, drawn lazily."""
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
    index: int | None = None,
    on_choice: OnChoice = lambda text: None,
) -> int:
    """Write a grid if `out` ends in .png, else single PNG files into the folder `out`: all or none.

    With `seeds`, each determines one picture, independent of the others; without, `num` pictures
    are drawn from `seed`. `class_`: name or label of the class of all pictures; without, classes
    cycle, by seed if there are `seeds`. `codes`: NUMBER=VALUE words; other codes are random.
    `index`: which of a mixture's generators draws all pictures; without, a random one each.
    `model` may be a run; `on_choice` is called with which of its generators draws.

    Returns the number of pictures. ConfigError if `out` has the suffix of another kind of file,
    if a single file is there already, or if there is no such class, code or generator.
    """
    to_grid = _is_grid(out)
    published = networks_in(model, on_choice)
    numbers = seeds or range(num)
    columns = math.ceil(math.sqrt(len(numbers)))
    if to_grid and len(numbers) * published.resolution**2 > MOST_GRID_PIXELS:
        raise ConfigError(
            f"{out}: a grid of {len(numbers):,} pictures would be "
            f"{columns * published.resolution:,} pixels wide; give a folder, which gets a file for "
            "each picture, or draw fewer"
        )
    generator = load_networks(published, "ema")
    labels = class_labels(numbers, published, class_)
    inputs = chosen_inputs(
        published.model,
        labels,
        seed=seed,
        seeds=seeds,
        truncation=truncation,
        codes=codes,
        index=index,
    )
    stems = [f"seed{s:06d}" for s in seeds] if seeds else [f"{seed}-{i:06d}" for i in range(num)]
    images = (image for batch in draw_batches(generator, inputs) for image in batch)
    tracked = track(images, out.name, len(inputs))
    if to_grid:
        write_whole(out, png(grid(torch.stack(list(tracked)), columns)))
    else:
        _write_singles(out, [f"{stem}.png" for stem in stems], tracked)
    return len(inputs)


def chosen_inputs(
    model: ModelSpec,
    labels: Tensor,
    *,
    seed: int = 0,
    seeds: list[int] | None = None,
    truncation: float | None = None,
    codes: Sequence[str] = (),
    index: int | None = None,
) -> Tensor:
    """A generator's inputs, (N, inputs) in float32, for labels (N,); the rest as in `generate`."""
    latents = (
        seed_latents(seeds, model.noise) if seeds else grid_latents(seed, len(labels), model.noise)
    )
    if truncation is not None:
        own = slice(model.latent)  # codes and generators stay uniform
        latents[:, own] = truncate(latents[:, own], truncation)
    for number, noise in parse_codes(codes, model.generator.codes).items():
        latents[:, model.latent + number] = noise
    if index is not None:
        latents[:, -1] = noise_of_index(index, model.generators)
    return with_conditions(latents, labels, model)


def class_labels(
    numbers: Sequence[int],
    published: Published,
    wanted: str | int | Sequence[str | int] | None,
    option: str = "--class",
) -> Tensor:
    """Labels (N,): of the class, or the class of each, that is wanted, by name or label.

    Without it, each picture's number modulo the classes. ConfigError, which names the `option`, if
    there is no such class, or if there are not as many as pictures.
    """
    labels = torch.tensor(numbers) % max(1, published.model.classes)
    if wanted is None:
        return labels
    if isinstance(wanted, str | int):
        return labels.fill_(parse_class(str(wanted), published.classes, option))
    if len(wanted) != len(labels):
        raise ConfigError(f"{option}: {len(wanted)} classes for {len(labels)} pictures")
    return torch.tensor([parse_class(str(each), published.classes, option) for each in wanted])


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
