"""The device memory that training a stage takes, before anything is trained."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from progan.datasets.loader import AHEAD
from progan.datasets.reals import Reals
from progan.stages.costs.deepspeed_model import DeepSpeedModel
from progan.stages.costs.live_bytes import LiveBytes
from progan.stages.distributed.watchdog import Watchdog
from progan.stages.distributed.world import World
from progan.stages.networks.encoder import generator_module
from progan.stages.objectives.augment.adaptation import adaptations
from progan.stages.objectives.augment.augmentation import make_augmentation
from progan.stages.objectives.objective import make_terms
from progan.stages.objectives.passes import Side
from progan.stages.objectives.replay_buffer import make_replay
from progan.stages.specs.stage import StageSpec
from progan.stages.training.loop import step
from progan.stages.training.networks import Networks
from progan.stages.training.stage import Stage

DEVICE = torch.device("cpu")
"""Of the fake tensors: the backward pass of fake CUDA tensors would need a GPU"""


def footprint(spec: StageSpec, ranks: int) -> dict[str, int]:
    """Estimate the peak memory of tensors, in bytes, on each of `ranks` ranks.

    Returns its parts by use at that moment: weights, average, moments, master_weights
    (ZeRO's copy, which is stepped), replay, gradients with the buffers they are averaged in, reals,
    and activations with all else that a pass keeps.

    This runs the step of training itself (training/loop.py) on tensors without storage; only
    DeepSpeed (deepspeed_model.py), the data and the other ranks are replaced. Left out is what is
    no tensor: CUDA's context and NCCL's buffers, the workspaces of cuDNN and the scratch of oneDNN,
    what the allocator loses to fragments. Drawing samples and writing checkpoints take less than a
    step does.
    """
    with FakeTensorMode(), LiveBytes() as live:
        step(_stage(spec, ranks, live), dict)
    return {kind: size for kind, size in live.at_peak.items() if size}


def _stage(spec: StageSpec, ranks: int, live: LiveBytes) -> Stage:
    """The stage at its first step, on fake tensors. Its fade keeps the most, whatever its alpha."""
    with live.making("weights"):
        networks = Networks.drawn(spec)
    for tensor in (*networks.ema.parameters(), *networks.ema.buffers()):
        live.recount(tensor, "average")
    generator, discriminator = networks.generator, networks.discriminator
    trained: dict[Side, nn.Module] = {"generator": generator, "discriminator": discriminator}
    with live.making("objective"):
        augmentation = make_augmentation(spec.augment, DEVICE)
        terms = make_terms(spec.objective, trained) + adaptations(spec, augmentation)
    rng: Any = FakeRng(spec.seed, spec.resolution, spec.batch, 0, ranks, live)
    with live.making("replay"):
        replay = make_replay(spec, rng, DEVICE)
    engine: Any = DeepSpeedModel
    batches: Any = FakeBatches(spec, ranks, live)
    waiting: Any = nullcontext()
    return Stage(
        spec=spec,
        world=FakeWorld(rank=0, size=ranks, device=DEVICE, watchdog=Watchdog(0, 1), live=live),
        generator=generator,
        discriminator=discriminator,
        ema=networks.ema,
        encoder=networks.encoder,
        generator_engine=engine(generator_module(generator, networks.encoder), spec, ranks, live),
        discriminator_engine=engine(discriminator, spec, ranks, live),
        batches=batches,
        rng=rng,
        images_seen=0,
        position=0,
        terms=terms,
        replay=replay,
        augmentation=augmentation,
        waiting=waiting,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeWorld(World):
    """One of the ranks. A collective takes its usual memory, and returns only shapes."""

    live: LiveBytes

    def to_device(self, tensor: Tensor) -> Tensor:
        """A tensor of the device's, like this one of the host's; reals are there already."""
        if not self.live.is_on_host(tensor):
            return tensor
        return torch.empty(tensor.shape, dtype=tensor.dtype)

    def all_reduce_mean(self, tensor: Tensor) -> Tensor:
        """See World."""
        return tensor / self.size

    def all_reduce_mean_grad(self, tensor: Tensor) -> Tensor:
        """See World."""
        return tensor.clone() / self.size


class FakeBatches(Iterator[Reals]):
    """What the loader gives: bytes on the device, some batches ahead."""

    def __init__(self, spec: StageSpec, ranks: int, live: LiveBytes) -> None:
        number, size = spec.batch // ranks, spec.resolution
        with live.on_host():
            self._labels = torch.zeros(number, dtype=torch.long)
        with live.making("reals"):
            shape = 1 + AHEAD, number, spec.model.channels, size, size
            self._ahead = torch.empty(shape, dtype=torch.uint8)
            self._flips = torch.empty(number, dtype=torch.bool)

    def __next__(self) -> Reals:
        return Reals(self._ahead[0], self._flips, self._labels, 0)


@dataclass(frozen=True)
class FakeRng:
    """What RngStreams draws, on the host."""

    seed: int
    resolution: int
    batch: int
    rank: int
    world_size: int
    live: LiveBytes

    def latents(self, purpose: object, images_seen: int, size: int) -> Tensor:
        """See RngStreams."""
        return self._empty(size)

    def epsilon(self, images_seen: int, purpose: object) -> Tensor:
        """See RngStreams."""
        return self._empty()

    def uniforms(self, purpose: object, images_seen: int, size: int) -> Tensor:
        """See RngStreams."""
        return self._empty(size)

    def noise(self, images_seen: int, shape: tuple[int, ...]) -> Tensor:
        """See RngStreams."""
        return self._empty(*shape)

    def _empty(self, *shape: int) -> Tensor:
        with self.live.on_host():
            return torch.empty(self.batch // self.world_size, *shape)
