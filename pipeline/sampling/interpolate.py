"""A film that wanders through an exported generator's latents and ends where it began."""

from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from progan.pipeline.errors import ConfigError
from progan.pipeline.run.progress_display import track
from progan.pipeline.sampling.generate import DRAWN_AT_ONCE, draw_latents, labels_of, load_networks
from progan.pipeline.sampling.latents import loop, seed_latents
from progan.pipeline.sampling.video import check_movie, write_movie
from progan.stages.images import grid, single
from progan.stages.networks.conditioning import with_conditions
from progan.stages.networks.generator import Generator
from progan.stages.storage.pretrained import read_published

SMALLEST_WIDTH = 256


def interpolate(
    model: Path,
    out: Path,
    seeds: list[int],
    seconds: float,
    fps: int,
    columns: int,
    wanted: str | None = None,
) -> int:
    """Write the film; returns its number of frames.

    Each of the columns x columns pictures has a loop of its own, through as many latents as seeds
    fall to its share, in the order given. All are of the class `wanted`; without, a seed has the
    class that it has in `generate`.
    """
    check_movie(out, fps)
    paths, frames = columns**2, max(1, round(seconds * fps))
    if len(seeds) % paths or len(seeds) < 2 * paths:
        raise ConfigError(
            f"{len(seeds)} seeds cannot be shared out over {paths} "
            f"{'picture' if paths == 1 else 'pictures'}: each needs equally many, two or more"
        )
    published = read_published(model)
    generator = load_networks(published, "ema")
    latents = seed_latents(seeds, generator.model.noise)
    inputs = with_conditions(latents, labels_of(seeds, published, wanted), generator.model)
    inputs = inputs.reshape(paths, -1, generator.model.inputs)
    ways = torch.stack([loop(through, generator.model.latent, frames) for through in inputs], dim=1)
    pictures = _pictures(generator, ways, columns)
    write_movie(out, track(pictures, out.name, frames), fps)
    return frames


def _pictures(generator: Generator, ways: Tensor, columns: int) -> Iterator[Image.Image]:
    """Frames of the film. ways: (frames, columns^2, inputs)"""
    for part in torch.split(ways, max(1, DRAWN_AT_ONCE // columns**2)):
        images = draw_latents(generator, part.flatten(0, 1))
        for frame in images.view(*part.shape[:2], *images.shape[1:]):
            yield enlarged(single(frame[0]) if columns == 1 else grid(frame, columns))


def enlarged(image: Image.Image) -> Image.Image:
    """Small pictures with larger pixels, since players blur what they enlarge."""
    factor = -(-SMALLEST_WIDTH // image.width)
    size = image.width * factor, image.height * factor
    return image.resize(size, Image.Resampling.NEAREST) if factor > 1 else image
