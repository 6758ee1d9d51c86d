"""This process's rank, and the collectives that progan uses."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from progan.stages.distributed.device import own_device
from progan.stages.distributed.scalars import AsyncScalars, stack_scalars
from progan.stages.distributed.watchdog import Watchdog


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """This process's rank and device, from the launcher's environment."""

    rank: int
    size: int
    device: torch.device
    watchdog: Watchdog

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which alone writes files."""
        return self.rank == 0

    def to_device(self, tensor: Tensor) -> Tensor:
        """A tensor on this rank's device; copied if it is not there, without waiting for that."""
        if self.device.type == "cuda" and tensor.device.type == "cpu" and not tensor.is_pinned():
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def scalars(self, numbers: Mapping[str, float]) -> dict[str, Tensor]:
        """Named numbers as scalars on the device, in float64."""
        values = self.to_device(torch.tensor(list(numbers.values()), dtype=torch.float64))
        return dict(zip(numbers, values.unbind(), strict=True))

    def all_reduce_scalars(self, scalars: Mapping[str, Tensor]) -> AsyncScalars:
        """Mean over the ranks of each named scalar, in float64; the same on every rank.

        A scalar that is NaN or infinite on one rank is so on all, so every rank decides alike.
        """
        return AsyncScalars(scalars, self.all_reduce_mean(stack_scalars(scalars)))

    def all_reduce_mean_grad(self, tensor: Tensor) -> Tensor:
        """Mean over the ranks of a tensor, differentiable.

        All ranks must call it and its backward alike. The mean of all ranks' losses is minimised,
        so the gradient is averaged over the ranks, too.
        """
        averaged: Tensor = _AllReduceMean.apply(tensor, self)
        return averaged

    def all_gather_cat(self, tensor: Tensor) -> Tensor:
        """All ranks' tensors, of one shape, in rank order; on the CPU of every rank."""
        gathered = [torch.empty_like(tensor) for _ in range(self.size)]
        self.watchdog.arrive()
        dist.all_gather(gathered, tensor)
        return torch.cat(gathered).cpu()

    def all_reduce_mean(self, tensor: Tensor) -> Tensor:
        """Mean over the ranks of a tensor, element by element; the same on every rank."""
        self.all_reduce_sum(tensor)
        return tensor / self.size

    def all_reduce_sum(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over the ranks, element by element."""
        self.watchdog.arrive()
        if self.size > 1:
            dist.all_reduce(tensor)

    def all_gather_object(self, item: object) -> list[object]:
        """A small object of every rank, in rank order, on every rank."""
        items: list[object] = [None] * self.size
        self.watchdog.arrive()
        dist.all_gather_object(items, item)
        return items

    def barrier(self) -> None:
        """Return when all ranks have called it."""
        self.watchdog.arrive()
        dist.barrier()


class _AllReduceMean(torch.autograd.Function):
    """Mean over the ranks: of values in the forward pass, of gradients in the backward."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, world: World) -> Tensor:
        ctx.world = world
        return _rank_mean(tensor, world)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _rank_mean(gradients[0], ctx.world), None


def _rank_mean(tensor: Tensor, world: World) -> Tensor:
    return world.all_reduce_mean(tensor.clone())


def detect() -> World:
    """Read RANK and WORLD_SIZE; without them this is rank 0 of 1.

    StageError if this rank has no GPU to itself, or torch cannot use it (device.py).
    """
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    return World(
        rank=rank,
        size=size,
        device=own_device(),
        watchdog=Watchdog(rank, size),
    )
