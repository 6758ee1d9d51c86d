"""The results of one update and of one step, read when the device has computed them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from progan.stages.distributed.scalars import AsyncScalars
from progan.stages.distributed.world import World
from progan.stages.errors import NotFiniteError


class StepId(NamedTuple):
    """Which step it is."""

    resolution: int
    images_seen: int
    end: int
    """Position in the stream of images where the next step begins"""

    def __str__(self) -> str:
        return f"{self.resolution}x{self.resolution} after {self.images_seen} images"


class Objective(NamedTuple):
    """A scalar to minimise, and its parts by name (scalars, detached)."""

    loss: Tensor
    scalars: dict[str, Tensor]


SQUARES = "squares"
NOTHING_PIGGYBACKED: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Update:
    """One update of a network, which the device may still be computing."""

    network: str
    step_id: StepId
    world: World
    means: AsyncScalars
    """Over micro-batches and ranks: scalars, piggybacked numbers, SQUARES of the gradient"""
    own: dict[str, Tensor]
    """This rank's means of the scalars"""
    loss_scale: float | None
    """The loss scale, in fp16"""
    may_overflow: bool
    """Whether a gradient that is not finite may only mean a loss scale that is too large"""

    def overflowed(self) -> bool:
        """Whether the gradient is not finite on some rank. Waits for the device."""
        return not math.isfinite(self.means.read()[SQUARES])

    def read(self) -> dict[str, float]:
        """The means and, if it is finite, `<network>_grad_norm`; in fp16 `<network>_loss_scale`.

        Waits for the device; all ranks must call it. Raises NotFiniteError on every rank if one of
        them, or the gradient, is not finite on any rank.
        """
        means = self.means.read()
        squares = means.pop(SQUARES)
        finite = math.isfinite(squares)
        if not all(map(math.isfinite, means.values())) or not (finite or self.may_overflow):
            raise NotFiniteError(f"{self.step_id}: {self._blame()}", self.step_id.end)
        if self.loss_scale is not None:
            means[f"{self.network}_loss_scale"] = self.loss_scale
        return means | {f"{self.network}_grad_norm": math.sqrt(squares)} if finite else means

    def _blame(self) -> str:
        """Name the quantity that is not finite, and its rank. All ranks must call it."""
        own = next((name for name, v in self.own.items() if not torch.isfinite(v)), None)
        for rank, name in enumerate(self.world.all_gather_object(own)):
            if name is not None:
                return f"{name} is not finite on rank {rank}"
        return f"the {self.network}'s gradient is not finite"


class StepReport(NamedTuple):
    """One step of a stage, which the device may still be computing."""

    updates: Sequence[Update]
    logged: AsyncScalars
    """What terms log after the step (`Term.after_step`)"""

    def read(self) -> dict[str, float]:
        """The step's scalars and piggybacked numbers; of several critic steps, the last.

        Waits and raises as `Update.read`.
        """
        scalars: dict[str, float] = {}
        for update in self.updates:
            scalars |= update.read()
        return scalars | self.logged.read()
