"""Two ranks print every metric of the same pictures, and the errors of a metric that fails on one.

Functions of this module compute the same in one process.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from progan.stages.distributed.watchdog import Watchdog
from progan.stages.distributed.world import World
from progan.stages.errors import MetricError
from progan.stages.metrics.feature_metrics import FEATURE_METRICS, FeatureMetrics
from progan.stages.metrics.geometry import GeometryScore
from progan.stages.metrics.inception import Features
from progan.stages.metrics.measure import Metric
from progan.stages.metrics.ms_ssim import PAIR_METRICS, SimilarPairs
from progan.stages.metrics.safe_collectives import SafeCollectives, rank_slice
from progan.stages.metrics.swd import SlicedWasserstein
from progan.stages.worker import leave

COUNT = 22
"""11 pairs, so that two ranks have unequal shares"""


def alone() -> World:
    """A world of one, for which no process group is needed."""
    cpu = torch.device("cpu")
    return World(rank=0, size=1, device=cpu, watchdog=Watchdog(0, 1))


def scenes(count: int, side: int, seed: int) -> Tensor:
    """Pictures of random rectangles with noise, uint8 (count, 3, side, side)."""
    random = np.random.default_rng(seed)
    pictures = np.full((count, 3, side, side), 128.0)
    for picture in pictures:
        for _ in range(12):
            (top, left), (height, width) = random.integers(0, side, 2), random.integers(2, 24, 2)
            colour = random.uniform(0, 255, (3, 1, 1))
            picture[:, top : top + height, left : left + width] = colour
    noisy = pictures + random.normal(0, 8, pictures.shape)
    return torch.from_numpy(noisy.round().clip(0, 255).astype(np.uint8))


def save_untrained_inception(path: Path) -> Any:
    """InceptionV3 with random weights, which are also saved as torch-fidelity's file has them."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Network

    torch.save({}, path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Network, "load_state_dict", lambda self, state: None)
        network = Network("inception", ["2048", "logits_unbiased"], path)
    torch.save(network.state_dict(), path)
    return network


def tiny_network(images: Tensor) -> Features:
    """Nine fixed features of a picture, and seven logits computed from them."""
    pixels = images.float() / 255
    corners = torch.nn.functional.adaptive_avg_pool2d(pixels, 2).flatten(1)[:, :9]
    mixing = torch.cos(torch.arange(63.0).reshape(9, 7))
    return Features(torch.sin(3 * corners), 8 * corners @ mixing)


def all_values(ranks: SafeCollectives, count: int = COUNT) -> dict[str, float]:
    """Every metric on this rank's share of the same pictures."""
    fakes, reals = scenes(count, 32, seed=1), scenes(count, 32, seed=2)
    own = rank_slice(count, ranks.world.rank, ranks.world.size)
    metrics: list[Metric] = [
        SlicedWasserstein(32, 3, count, ranks),
        *(SimilarPairs(name, ranks) for name in PAIR_METRICS),
        GeometryScore(32, 3, count, ranks),
        FeatureMetrics(list(FEATURE_METRICS), tiny_network, count, ranks),
    ]
    values: dict[str, float] = {}
    for metric in metrics:
        for begin in range(own.begin, own.end, 4):
            end = min(begin + 4, own.end)
            metric.add(fakes[begin:end], reals[begin:end], begin)
        values |= metric.values(lambda: None)
        ranks.raise_failures()
    return values


def failure_on_the_last(ranks: SafeCollectives) -> str:
    """The error that this rank raises when only the last one's work fails before a collective."""

    def work() -> Tensor:
        if ranks.world.rank == ranks.world.size - 1:
            raise ValueError("no room")
        return torch.ones(2, 3)

    part = ranks.attempt(work, torch.zeros(2, 3))
    ranks.concat(part, [3] * ranks.world.size)
    try:
        ranks.raise_failures()
    except MetricError as error:
        return str(error)
    return "nothing"


def main() -> None:
    """One rank."""
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    cpu = torch.device("cpu")
    world = World(rank=rank, size=size, device=cpu, watchdog=Watchdog(rank, size))
    ranks = SafeCollectives(world)
    errors = world.all_gather_object(failure_on_the_last(ranks))
    values = all_values(ranks)
    if world.is_first:
        print("result " + json.dumps({"errors": errors, "values": values}))
    dist.destroy_process_group()
    leave(0)


if __name__ == "__main__":
    main()
