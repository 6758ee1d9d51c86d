"""Measure a generator: its fakes and reals through every metric asked for, on all ranks."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from progan.datasets.files import sha256_file
from progan.datasets.format.manifest import Manifest
from progan.datasets.loader import Batches
from progan.datasets.order import Integers
from progan.datasets.reals import Reals
from progan.stages.distributed.world import World
from progan.stages.errors import MetricError
from progan.stages.images import to_uint8
from progan.stages.metrics.feature_metrics import FEATURE_METRICS, FeatureMetrics
from progan.stages.metrics.full_float32 import full_float32
from progan.stages.metrics.geometry import PARTS, GeometryScore, require_gudhi
from progan.stages.metrics.inception import Network, load_inception, to_rgb
from progan.stages.metrics.kept_features import KeptFeatures
from progan.stages.metrics.ms_ssim import PAIR_METRICS, SimilarPairs
from progan.stages.metrics.names import images_compared
from progan.stages.metrics.safe_collectives import SafeCollectives, rank_slice
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

    wants_reals: bool
    """If no metric does, reals are not read"""

    def add(self, fakes: Tensor, reals: Tensor | None, start: int) -> None:
        """Add pictures start, start + 1, ... of this rank's slice: uint8 (N, C, R, R) twice.

        They are contiguous, and float32 is not computed as TF32.
        """
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
    features: Path | None = None
    """Folder for features of the reals, which later measurements reuse"""


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
        with full_float32():
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
    from_topology = PARTS if "geometry_score" in names else 0
    return batches + levels * (DIRECTIONS // DIRECTIONS_PER_CHUNK) + from_features + from_topology


def _batch_size(subject: Subject) -> int:
    """Pictures per batch: whole pairs."""
    return max(2, min(LARGEST_BATCH, subject.batch_size) // 2 * 2)


def _prepare(
    subject: Subject, names: Collection[str], spec: MetricsSpec, count: int, ranks: SafeCollectives
) -> tuple[dict[tuple[str, ...], Metric], dict[str, str]]:
    """The metrics by names, and why some are left out; the same on all ranks."""
    device = ranks.world.device
    feature_metrics = tuple(name for name in names if name in FEATURE_METRICS)
    network, missing = _load_libraries(names, spec, device)
    left_out = ranks.merge(missing)
    channels = subject.batches.manifest.channels

    def make() -> dict[tuple[str, ...], Metric]:
        made: dict[tuple[str, ...], Metric] = {}
        if "swd" in names:
            made["swd",] = SlicedWasserstein(subject.resolution, channels, count, ranks)
        for name in PAIR_METRICS:
            if name in names:
                made[name,] = SimilarPairs(name, ranks)
        if "geometry_score" in set(names) - left_out.keys():
            made["geometry_score",] = GeometryScore(subject.resolution, channels, count, ranks)
        if network and not left_out.keys() & set(feature_metrics):
            kept = _kept_features(subject, spec, count, ranks.world)
            made[feature_metrics] = FeatureMetrics(
                feature_metrics, _of_rgb(network, subject.batches.manifest), count, ranks, kept
            )
        return made

    none: dict[tuple[str, ...], Metric] = {}
    metrics = ranks.attempt(make, none)
    ranks.raise_failures()
    return metrics, left_out


def _load_libraries(
    names: Collection[str], spec: MetricsSpec, device: torch.device
) -> tuple[Network | None, dict[str, str]]:
    """InceptionV3 if a metric needs it, and why metrics are left out on this rank."""
    network: Network | None = None
    missing: dict[str, str] = {}
    feature_metrics = [name for name in names if name in FEATURE_METRICS]
    if feature_metrics:
        try:
            network = load_inception(spec.inception_weights, device)
        except MetricError as error:
            missing = dict.fromkeys(feature_metrics, str(error))
    if "geometry_score" in names:
        try:
            require_gudhi()
        except MetricError as error:
            missing["geometry_score"] = str(error)
    return network, missing


def _of_rgb(network: Network, manifest: Manifest) -> Network:
    """The network for pictures of the data set's channels; its background is behind alpha."""
    return lambda pictures: network(to_rgb(pictures, manifest.options.background))


def _kept_features(
    subject: Subject, spec: MetricsSpec, count: int, world: World
) -> KeptFeatures | None:
    """Where this rank's features of the reals are kept; not while these fade."""
    if subject.features is None or spec.inception_weights is None or subject.alpha < 1:
        return None
    weights = sha256_file(spec.inception_weights)
    manifest = subject.batches.manifest
    key = *subject.batches.identity, count, weights, world.device.type
    if manifest.channels == 4:
        key = *key, manifest.options.background
    return KeptFeatures(subject.features, key, rank_slice(count, world.rank, world.size))


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
    size = _batch_size(subject)
    begins = range(own.begin, own.end, size)
    batches = [np.arange(begin, min(begin + size, own.end)) for begin in begins]
    wanted = any(metric.wants_reals for metric in metrics)
    reals = subject.batches.at(batches) if wanted else None
    latents = metric_latents(subject.seed, count, subject.generator.model.noise)
    for number in range(-(-longest // size)):
        world.watchdog.arrive()
        if number < len(batches):
            feed = partial(_feed_batch, subject, metrics, latents, batches[number], reals, world)
            ranks.attempt(feed, None)
        heartbeat()
    ranks.raise_failures()


@torch.no_grad()
def _feed_batch(
    subject: Subject,
    metrics: Collection[Metric],
    latents: Tensor,
    batch: Integers,
    reals: Iterator[Reals] | None,
    world: World,
) -> None:
    """The pictures of one batch; the next ones of `reals` are those that it is compared with."""
    read = next(reals) if reals else None
    # The fakes have the classes of the reals that they are compared with.
    labels = read.labels if read else subject.batches.labels_at(batch)
    inputs = with_conditions(latents[batch], labels, subject.generator.model)
    fakes = subject.generator(inputs.to(world.device), subject.alpha)
    while fakes.shape[-1] < subject.resolution:
        fakes = upscale(fakes)
    pictures = to_uint8(fakes).contiguous()
    compared = None
    if read:
        images = read.to(world.device).images()
        compared = to_uint8(fade(images, subject.alpha)).contiguous()
    with full_float32():
        for metric in metrics:
            metric.add(pictures, compared, int(batch[0]))
