"""Trains pytorch_GAN_zoo's progressive GAN for a given processor time, as a program.

    python gan_zoo_training.py time CHECKOUT DATASET RESOLUTION COSTS.json
    python gan_zoo_training.py train CHECKOUT DATASET COSTS.json SECONDS SEED IMAGES OUTPUT

`time` measures the processor time of a step at each size; `train` makes as many as the time allows.

Its networks and its step, at the widths of the compared recipes; its schedule's proportions (half
as many iterations at 4x4 as at each later size, alpha falling over the first fifth of these), its
rates and its penalty. Its trainer is not used: it reads pictures and writes checkpoints in its own
way, which is not compared.
"""

import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from measuring.peers import gan_zoo_networks
from progan.datasets.loader import Batches
from progan.datasets.spec import DataSpec
from progan.stages.images import to_uint8
from progan.stages.networks.layers import fade
from progan.stages.storage.tensors import write_tensors

WIDTHS = {4: 64, 8: 64, 16: 64, 32: 32, 64: 16}
LATENT = 128
BATCH = 16
FADE = 0.2
TIMED_STEPS = 5
DRAWN_AT_ONCE = 100


def main() -> None:
    """Measure steps, or train and write pictures of the average (`ema`) and of the generator."""
    command, checkout, data, *more = sys.argv[1:]
    sys.path.insert(0, checkout)
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        if command == "time":
            resolution, costs = more
            measure(Path(data), int(resolution), Path(costs))
        else:
            costs, seconds, seed, images, output = more
            torch.manual_seed(int(seed))
            found = json.loads(Path(costs).read_text())
            model, kimg = train(Path(data), found, float(seconds), int(seed))
            pictures = {"ema": draw(model, int(images), True),
                        "generator": draw(model, int(images), False)}  # fmt: skip
            write_tensors(Path(output), pictures | {"kimg": torch.tensor(kimg)})


def measure(data: Path, resolution: int, output: Path) -> None:
    """Write the processor seconds of a step by size."""
    sizes = [size for size in WIDTHS if size <= resolution]
    costs = {
        size: step_seconds(data, sizes[: number + 1], seed=0) for number, size in enumerate(sizes)
    }
    output.write_text(json.dumps(costs))


def train(data: Path, costs: dict[str, float], seconds: float, seed: int) -> tuple[Any, float]:
    """The trained model, and thousands of images shown."""
    sizes = [int(size) for size in costs]
    shares = [0.5] + [1.0] * (len(sizes) - 1)
    total = sum(cost * share for cost, share in zip(costs.values(), shares, strict=True))
    model = gan_zoo_networks(LATENT, WIDTHS[4])
    steps = 0
    for size, share in zip(sizes, shares, strict=True):
        if size > sizes[0]:
            model.addScale(WIDTHS[size])
        number = max(1, round(seconds / total * share))
        for index, reals in zip(range(number), read(data, size, seed), strict=False):
            alpha = max(0.0, 1 - index / (FADE * number)) if size > sizes[0] else 0.0
            one_step(model, reals, alpha)
        steps += number
    return model, steps * BATCH / 1000


def step_seconds(data: Path, sizes: list[int], seed: int) -> float:
    """Processor time of a step at the last of these sizes."""
    model = gan_zoo_networks(LATENT, WIDTHS[4])
    for size in sizes[1:]:
        model.addScale(WIDTHS[size])
    batches = read(data, sizes[-1], seed)
    alpha = 0.5 if len(sizes) > 1 else 0.0
    one_step(model, next(batches), alpha)
    start = time.thread_time()
    for _ in range(TIMED_STEPS):
        one_step(model, next(batches), alpha)
    return (time.thread_time() - start) / TIMED_STEPS


def one_step(model: Any, reals: Tensor, alpha: float) -> None:
    """alpha: the share of the previous resolution. Its `updateAlpha` needs DataParallel."""
    for network in (model.getOriginalG(), model.getOriginalD(), model.getOriginalAvgG()):
        network.setNewAlpha(alpha)
    model.config.alpha = alpha
    model.optimizeParameters(fade(reals, 1 - alpha) if alpha else reals)


def read(data: Path, size: int, seed: int) -> Iterator[Tensor]:
    """Batches of reals in [-1, 1]."""
    with Batches(DataSpec(path=str(data)), size, seed=seed, batch=BATCH, rank=0, world_size=1) as b:
        for reals in b:
            yield reals.images()


@torch.no_grad()
def draw(model: Any, images: int, average: bool) -> Tensor:
    """uint8 (images, 3, R, R)."""
    parts = []
    for begin in range(0, images, DRAWN_AT_ONCE):
        latents = torch.randn(min(DRAWN_AT_ONCE, images - begin), LATENT)
        parts.append(to_uint8(model.test(latents, getAvG=average)))
    return torch.cat(parts).contiguous()


if __name__ == "__main__":
    main()
