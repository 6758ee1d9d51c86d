"""What a metric needs of the other ranks, such that a failure on one of them holds nobody up."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from progan.stages.distributed.world import World
from progan.stages.errors import MetricError

T = TypeVar("T")


class Share(NamedTuple):
    """A rank's part of `count` pictures: [begin, end), whole pairs of neighbours."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin


def share(count: int, rank: int, size: int) -> Share:
    """The part of an even number of pictures that one of `size` ranks takes.

    The parts differ by at most one pair.
    """
    pairs = count // 2
    return Share(2 * (pairs * rank // size), 2 * (pairs * (rank + 1) // size))


class Ranks:
    """Exchanges between the ranks, and the work between them.

    An exchange that one rank never enters holds all others for ever. So work goes through
    `attempt`, a rank whose work failed takes part in what follows all the same, and `agree` tells
    all of them.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._failure: str | None = None

    def attempt(self, work: Callable[[], T], otherwise: T) -> T:
        """What `work` returns; `otherwise` if it fails or any work did before."""
        if self._failure is None:
            try:
                return work()
            except Exception as error:
                self._failure = f"{type(error).__name__}: {error}"
        return otherwise

    def agree(self) -> None:
        """Raise MetricError on every rank if work has failed on any. All ranks must call it."""
        failures = (
            self.world.all_gather_object(self._failure) if self.world.size > 1 else [self._failure]
        )
        self._failure = None
        for rank, failure in enumerate(failures):
            if failure is not None:
                raise MetricError(f"{failure} (rank {rank})")

    def union(self, own: dict[str, str]) -> dict[str, str]:
        """The entries of all ranks, the first one's where they differ. All ranks must call it."""
        everybody = self.world.all_gather_object(own) if self.world.size > 1 else [own]
        entries = cast(list[dict[str, str]], everybody)
        return {key: value for each in reversed(entries) for key, value in each.items()}

    def sum(self, own: Tensor) -> Tensor:
        """The sum over the ranks, on the CPU. All ranks must call it with the same shape."""
        if self.world.size == 1:
            return own.cpu()
        total = own.to(self.world.device, copy=True)
        self.world.watchdog.arrive()
        dist.all_reduce(total)
        return total.cpu()

    def concat(self, own: Tensor, lengths: list[int]) -> Tensor:
        """The ranks' columns side by side, in rank order, on this rank's device.

        own: (rows, lengths[rank]); returns (rows, sum of lengths). All ranks must call it.
        """
        if self.world.size == 1:
            return own
        padded = own.new_zeros((len(own), max(lengths)), device=self.world.device)
        padded[:, : own.shape[1]] = own
        everybody = [torch.empty_like(padded) for _ in lengths]
        self.world.watchdog.arrive()
        dist.all_gather(everybody, padded)
        return torch.cat([x[:, :n] for x, n in zip(everybody, lengths, strict=True)], dim=1)
