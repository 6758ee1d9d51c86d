"""Measure a generator: its fakes and reals through every metric asked for, on all ranks."""

from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from progan.datasets.loader import Batches
from progan.stages.distributed.world import World
from progan.stages.errors import MetricError
from progan.stages.images import to_uint8
from progan.stages.metrics.feature_metrics import FEATURE_METRICS, FeatureMetrics
from progan.stages.metrics.inception import Network, load_inception
from progan.stages.metrics.ms_ssim import SimilarPairs
from progan.stages.metrics.names import images_compared
from progan.stages.metrics.safe_collectives import RankSlice, SafeCollectives, rank_slice
from progan.stages.metrics.sizes import DIRECTIONS, DIRECTIONS_PER_CHUNK, swd_sides
from progan.stages.metrics.swd import SlicedWasserstein
from progan.stages.networks.conditioning import with_conditions
from progan.stages.networks.generator import Generator
from progan.stages.networks.layers import fade, upscale
from progan.stages.rng import metric_latents
from progan.stages.specs.stage import MetricsSpec

LARGEST_BATCH = 64


class Metric(Protocol):
    """A metric, or several that share their features."""

    def add(self, fakes: Tensor, reals: Tensor, start: int) -> None:
        """Add pictures start, start + 1, ... of this rank's slice: uint8 (N, C, R, R) twice."""
        ...

    def values(self, heartbeat: Callable[[], None]) -> dict[str, float]:
        """The values by name, at least on the first rank. All ranks must call it once."""
        ...


class Subject(NamedTuple):
    """What is measured: a generator at an alpha, and the reals to compare it with."""

    generator: Generator
    alpha: float
    seed: int
    batches: Batches
    """At the resolution of the comparison: the generator's, or a larger one"""
    resolution: int
    """Of `batches`"""
    batch_size: int
    """Fakes per batch that fit in memory"""


class Measurement(NamedTuple):
    """The values of the metrics, and why some are missing."""

    images: int
    """Number of fakes, and of reals, that were compared"""
    values: dict[str, float]
    """On the first rank"""
    left_out: dict[str, str]
    """By metric or value: why it is missing"""


def measure(
    subject: Subject,
    world: World,
    names: Collection[str],
    spec: MetricsSpec,
    heartbeat: Callable[[], None] = lambda: None,
) -> Measurement:
    """Compare the generator's fakes with reals. All ranks must call it.

    `names` are metrics as in the configuration; `heartbeat` is called after every batch.
    No more pictures are compared than the data set has. Training does not depend on it: the latents
    have their own Purpose, and reals are read by position. Raises MetricError on every rank if
    pictures cannot be drawn or read on one.
    """
    ranks = SafeCollectives(world)
    count = images_compared(spec.images, subject.batches.num_samples)
    if count < 2 * world.size:
        raise MetricError(f"{count} pictures are too few to compare on {world.size} ranks")
    metrics, left_out = _prepare(subject, names, spec, count, ranks)
    _feed(subject, metrics.values(), count, ranks, heartbeat)
    values: dict[str, float] = {}
    for metric_names, metric in metrics.items():
        found = metric.values(heartbeat)
        try:
            ranks.raise_failures()
        except MetricError as error:
            left_out |= dict.fromkeys(metric_names, str(error))
        else:
            values |= found
    for name in [name for name, value in values.items() if not np.isfinite(value)]:
        del values[name]
        left_out[name] = "it is not finite"
    return Measurement(count, values, left_out)


def heartbeats(subject: Subject, names: Collection[str], spec: MetricsSpec) -> int:
    """How often `measure` calls `heartbeat` on a single rank."""
    count = images_compared(spec.images, subject.batches.num_samples)
    levels = len(swd_sides(subject.resolution)) if "swd" in names else 0
    from_features = sum(name in FEATURE_METRICS for name in names)
    batches = -(-count // _batch_size(subject))
    return batches + levels * (DIRECTIONS // DIRECTIONS_PER_CHUNK) + from_features


def _batch_size(subject: Subject) -> int:
    """Pictures per batch: whole pairs."""
    return max(2, min(LARGEST_BATCH, subject.batch_size) // 2 * 2)


def _prepare(
    subject: Subject, names: Collection[str], spec: MetricsSpec, count: int, ranks: SafeCollectives
) -> tuple[dict[tuple[str, ...], Metric], dict[str, str]]:
    """The metrics by names, and why some are left out; the same on all ranks."""
    device = ranks.world.device
    feature_metrics = tuple(name for name in names if name in FEATURE_METRICS)
    missing: dict[str, str] = {}
    network: Network | None = None
    if feature_metrics:
        try:
            network = load_inception(spec.inception_weights, device)
        except MetricError as error:
            missing = dict.fromkeys(feature_metrics, str(error))
    left_out = ranks.merge(missing)

    def make() -> dict[tuple[str, ...], Metric]:
        made: dict[tuple[str, ...], Metric] = {}
        if "swd" in names:
            channels = subject.batches.manifest.channels
            made["swd",] = SlicedWasserstein(subject.resolution, channels, count, ranks)
        if "ms_ssim" in names:
            made["ms_ssim",] = SimilarPairs(ranks)
        if network and not left_out:
            made[feature_metrics] = FeatureMetrics(feature_metrics, network, count, ranks)
        return made

    none: dict[tuple[str, ...], Metric] = {}
    metrics = ranks.attempt(make, none)
    ranks.raise_failures()
    return metrics, left_out


def _feed(
    subject: Subject,
    metrics: Collection[Metric],
    count: int,
    ranks: SafeCollectives,
    heartbeat: Callable[[], None],
) -> None:
    """Pass this rank's slice of fakes and reals to every metric, batch by batch."""
    world = ranks.world
    slices = [rank_slice(count, rank, world.size) for rank in range(world.size)]
    own, longest = slices[world.rank], max(map(len, slices))
    batch_size = _batch_size(subject)
    latents = metric_latents(subject.seed, count, subject.generator.model.noise)
    for offset in range(0, longest, batch_size):
        world.watchdog.arrive()
        begin = min(own.begin + offset, own.end)
        batch = RankSlice(begin, min(begin + batch_size, own.end))
        if len(batch):
            ranks.attempt(partial(_feed_batch, subject, metrics, latents, batch, world), None)
        heartbeat()
    ranks.raise_failures()


@torch.no_grad()
def _feed_batch(
    subject: Subject, metrics: Collection[Metric], latents: Tensor, batch: RankSlice, world: World
) -> None:
    reals, labels, _ = subject.batches.at(np.arange(batch.begin, batch.end))
    # The fakes have the classes of the reals that they are compared with.
    inputs = with_conditions(latents[batch.begin : batch.end], labels, subject.generator.model)
    fakes = subject.generator(inputs.to(world.device), subject.alpha)
    while fakes.shape[-1] < subject.resolution:
        fakes = upscale(fakes)
    pictures = to_uint8(fakes), to_uint8(fade(reals.to(world.device), subject.alpha))
    for metric in metrics:
        metric.add(*pictures, batch.begin)
