"""Model of DeepSpeed's memory: gradients, optimizer state, ZeRO buffers.

In place of `Engine` in the memory estimate: DeepSpeed itself needs a process group and values. It
follows deepspeed 0.19, `runtime/engine.py` for ZeRO 0 and `runtime/zero/stage_1_and_2.py` for 1 and
2, with contiguous gradients in one bucket and no overlap of communication, and torch's optimizers.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from progan.stages.costs.live_bytes import LiveBytes
from progan.stages.distributed.scalars import AsyncScalars, stack_scalars
from progan.stages.engine.optimizers import Moments
from progan.stages.engine.update import Objective
from progan.stages.specs.stage import StageSpec

GRADIENTS = "gradients"


class FakeUpdate:
    """What the step asks of an update."""

    def __init__(self, scalars: dict[str, Tensor]) -> None:
        self.means = AsyncScalars(scalars, stack_scalars(scalars))


class DeepSpeedModel:
    """One network's gradients, moments and ZeRO's copies on one of `ranks` ranks."""

    loss_factor = 1.0

    def __init__(self, module: nn.Module, spec: StageSpec, ranks: int, live: LiveBytes) -> None:
        self.module = module
        self._parameters = list(module.parameters())
        self._whole = sum(parameter.numel() for parameter in self._parameters)
        self._zero = spec.engine.sharding(ranks)
        self._share = -(-self._whole // ranks) if self._zero else self._whole
        self._ranks = ranks
        self._micro_batches = spec.batch // ranks // spec.rank_micro_batch(ranks)
        self._live = live
        self._bucket: Tensor | None = None
        self._averaged: Tensor | None = None
        self._moment_names = spec.optimizer.moments
        with live.making("moments"):
            self._moments = [torch.empty(self._share) for _ in self._moment_names]
        with live.making("master_weights"):
            self._master_weights = torch.empty(self._share) if self._zero else None
        for parameter in self._parameters:
            parameter.register_post_accumulate_grad_hook(self._on_gradient)  # type: ignore[no-untyped-call]

    def update(
        self, objectives: Iterable[Objective], step_id: object, piggybacked: object = None
    ) -> FakeUpdate:
        """See Engine."""
        scalars: dict[str, Tensor] = {}
        for index, objective in enumerate(objectives, start=1):
            torch.autograd.backward(objective.loss)
            scalars = objective.scalars
            with self._live.making(GRADIENTS):
                self._reduce(last=index == self._micro_batches)
        self._step()
        return FakeUpdate(scalars)

    def flat_moments(self) -> Moments:
        """See Engine."""
        step = torch.zeros((), dtype=torch.float64)
        return Moments(step, {name: torch.empty(self._whole) for name in self._moment_names})

    def clip(self, bounds: object) -> None:
        """Takes no memory."""

    def _reduce(self, *, last: bool) -> None:
        """What happens to the gradients of a micro-batch."""
        if self._zero:
            if self._zero == 2 or last:
                self._shard_gradients()
        elif last and self._ranks > 1:
            torch.empty(self._whole)  # flattened for the all-reduce

    def _step(self) -> None:
        """The optimizer's step on this rank's weights."""
        with self._live.making(GRADIENTS):
            flat = torch.empty(self._share) if self._zero else None
            self._averaged = None
            roots = [torch.empty_like(moment) for moment in self._moments]
        del flat, roots
        for parameter in self._parameters:
            parameter.grad = None

    def _on_gradient(self, parameter: Tensor) -> None:
        """A gradient is whole: ZeRO makes its bucket at the first, and ZeRO 2 moves each there."""
        assert parameter.grad is not None
        self._live.recount(parameter.grad, GRADIENTS)
        if self._zero and self._bucket is None:
            with self._live.making(GRADIENTS):
                self._bucket = torch.empty(self._whole)
        if self._zero == 2:
            parameter.grad = None

    def _shard_gradients(self) -> None:
        """Average the bucket over the ranks; keep the part of the mean that this rank uses."""
        for parameter in self._parameters:
            parameter.grad = None
        if self._ranks > 1:
            torch.empty(self._whole)  # the slices of the bucket flattened again, by rank
        mean = torch.empty(self._share)
        self._averaged = mean if self._averaged is None else self._averaged
        self._bucket = None
