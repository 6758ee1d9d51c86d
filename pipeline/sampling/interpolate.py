"""A video that loops through an exported generator's latent space."""

from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from progan.datasets.format.checkerboard import over_checkerboard
from progan.pipeline.errors import ConfigError
from progan.pipeline.run.progress_display import track
from progan.pipeline.sampling.generate import BATCH, class_labels, draw_latents, load_networks
from progan.pipeline.sampling.latents import loop, seed_latents
from progan.pipeline.sampling.newest import OnChoice, networks_in
from progan.pipeline.sampling.video import check_movie, write_movie
from progan.stages.images import grid, single
from progan.stages.networks.conditioning import with_conditions
from progan.stages.networks.generator import Generator

MIN_WIDTH = 256


def interpolate(
    model: Path,
    out: Path,
    seeds: list[int],
    seconds: float,
    fps: int,
    columns: int,
    class_: str | None = None,
    on_choice: OnChoice = lambda text: None,
) -> int:
    """Write the video; returns its number of frames.

    Each of the columns x columns cells has its own loop, through an equal share of the seeds in the
    order given. `class_`: name or label of the class of all pictures; without, seeds have the same
    classes as in `generate`. `model` may be a run; `on_choice` is called with which of its
    generators draws.
    """
    check_movie(out, fps)
    cells, frames = columns**2, max(1, round(seconds * fps))
    if len(seeds) % cells or len(seeds) < 2 * cells:
        raise ConfigError(
            f"{len(seeds)} seeds cannot be shared out over {cells} "
            f"{'picture' if cells == 1 else 'pictures'}: each needs equally many, two or more"
        )
    published = networks_in(model, on_choice)
    generator = load_networks(published, "ema")
    latents = seed_latents(seeds, generator.model.noise)
    inputs = with_conditions(latents, class_labels(seeds, published, class_), generator.model)
    inputs = inputs.reshape(cells, -1, generator.model.inputs)
    loops = torch.stack([loop(each, generator.model.latent, frames) for each in inputs], dim=1)
    pictures = _draw_frames(generator, loops, columns)
    write_movie(out, track(pictures, out.name, frames), fps)
    return frames


def _draw_frames(generator: Generator, loops: Tensor, columns: int) -> Iterator[Image.Image]:
    """Frames of the video. loops: (frames, columns^2, inputs)"""
    for batch in torch.split(loops, max(1, BATCH // columns**2)):
        images = draw_latents(generator, batch.flatten(0, 1))
        for frame in images.view(*batch.shape[:2], *images.shape[1:]):
            image = single(frame[0]) if columns == 1 else grid(frame, columns)
            yield over_checkerboard(_enlarge(image))


def _enlarge(image: Image.Image) -> Image.Image:
    """Enlarge small pictures by nearest neighbour, since players blur them."""
    factor = -(-MIN_WIDTH // image.width)
    size = image.width * factor, image.height * factor
    return image.resize(size, Image.Resampling.NEAREST) if factor > 1 else image
