"""This process's rank, and the collectives that progan uses."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from progan.stages.distributed.scalars import AsyncScalars, stack_scalars
from progan.stages.distributed.watchdog import Watchdog


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """This process's rank and device, from the launcher's environment."""

    rank: int
    size: int
    local_rank: int
    device: torch.device
    watchdog: Watchdog

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which alone writes files."""
        return self.rank == 0

    def to_device(self, tensor: Tensor) -> Tensor:
        """Copy a tensor from the host to this rank's device, without waiting for the copy."""
        if self.device.type == "cuda" and not tensor.is_pinned():
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def scalars(self, numbers: Mapping[str, float]) -> dict[str, Tensor]:
        """Named numbers as scalars on the device, in float64."""
        values = self.to_device(torch.tensor(list(numbers.values()), dtype=torch.float64))
        return dict(zip(numbers, values.unbind(), strict=True))

    def all_reduce_scalars(self, scalars: Mapping[str, Tensor]) -> AsyncScalars:
        """Mean over the ranks of each named scalar, in float64; the same on every rank.

        NaN or infinite on one rank is so on all, so every rank decides alike.
        """
        values = stack_scalars(scalars)
        self.watchdog.arrive()
        dist.all_reduce(values)
        return AsyncScalars(scalars, values / self.size)

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
        self.watchdog.arrive()
        dist.all_reduce(tensor)
        return tensor / self.size

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
    total = tensor.clone()
    world.watchdog.arrive()
    dist.all_reduce(total)
    return total / world.size


def detect() -> World:
    """Read RANK, WORLD_SIZE and LOCAL_RANK; without them this is rank 0 of 1."""
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    if torch.cuda.is_available():
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
        # A stage has few shapes and many steps: trying all of cuDNN's algorithms pays.
        torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
    else:
        device = torch.device("cpu")
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    return World(
        rank=rank,
        size=size,
        local_rank=local_rank,
        device=device,
        watchdog=Watchdog(rank, size),
    )
