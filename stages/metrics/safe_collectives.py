"""Collectives for metrics that cannot hang when the work of one rank fails."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from progan.stages.distributed.world import World
from progan.stages.errors import MetricError

T = TypeVar("T")


class RankSlice(NamedTuple):
    """A rank's slice of `count` pictures: [begin, end), whole pairs of neighbours."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin


def rank_slice(count: int, rank: int, size: int) -> RankSlice:
    """The slice of an even number of pictures that one of `size` ranks measures.

    The slices' lengths differ by at most one pair.
    """
    pairs = count // 2
    return RankSlice(2 * (pairs * rank // size), 2 * (pairs * (rank + 1) // size))


class SafeCollectives:
    """Collectives, and the work between them.

    A collective that one rank never enters blocks all others for ever. So work runs in `attempt`;
    a rank whose work failed still takes part in the collectives that follow, and `raise_failures`
    raises the error on all ranks.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._failure: str | None = None

    def attempt(self, work: Callable[[], T], otherwise: T) -> T:
        """What `work` returns; `otherwise` if it fails, or work failed before on this rank."""
        if self._failure is None:
            try:
                return work()
            except Exception as error:
                self._failure = f"{type(error).__name__}: {error}"
        return otherwise

    def raise_failures(self) -> None:
        """Raise MetricError on every rank if work has failed on any. All ranks must call it."""
        failures = (
            self.world.all_gather_object(self._failure) if self.world.size > 1 else [self._failure]
        )
        self._failure = None
        for rank, failure in enumerate(failures):
            if failure is not None:
                raise MetricError(f"{failure} (rank {rank})")

    def merge(self, own: dict[str, str]) -> dict[str, str]:
        """The entries of all ranks, the first one's where they differ. All ranks must call it."""
        gathered = self.world.all_gather_object(own) if self.world.size > 1 else [own]
        by_rank = cast(list[dict[str, str]], gathered)
        return {key: value for each in reversed(by_rank) for key, value in each.items()}

    def sum(self, own: Tensor) -> Tensor:
        """The sum over the ranks, on the CPU. All ranks must call it with the same shape."""
        if self.world.size == 1:
            return own.cpu()
        total = own.to(self.world.device, copy=True)
        self.world.watchdog.arrive()
        dist.all_reduce(total)
        return total.cpu()

    def all_gather(self, gathered: list[Tensor], own: Tensor) -> None:
        """Write every rank's tensor, all of one shape, into `gathered`. All ranks must call it."""
        if self.world.size == 1:
            gathered[0].copy_(own)
            return
        self.world.watchdog.arrive()
        dist.all_gather(gathered, own)

    def concat(self, own: Tensor, lengths: list[int]) -> Tensor:
        """The columns of all ranks, in rank order, on this rank's device.

        own: (rows, lengths[rank]); returns (rows, sum of lengths). All ranks must call it.
        """
        if self.world.size == 1:
            return own
        padded = own.new_zeros((len(own), max(lengths)), device=self.world.device)
        padded[:, : own.shape[1]] = own
        gathered = [torch.empty_like(padded) for _ in lengths]
        self.all_gather(gathered, padded)
        return torch.cat([x[:, :n] for x, n in zip(gathered, lengths, strict=True)], dim=1)
