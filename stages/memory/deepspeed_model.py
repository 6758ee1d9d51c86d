"""What DeepSpeed holds for one network, as tensors made and dropped when DeepSpeed does.

A stand-in for `Engine` in the memory estimate: DeepSpeed itself needs a process group and values.
It follows deepspeed 0.19, `runtime/engine.py` for ZeRO 0 and `runtime/zero/stage_1_and_2.py` for 1
and 2, with contiguous gradients in one bucket and no overlap of communication, and torch's
optimisers.
"""

import torch
from torch import Tensor, nn

from progan.stages.engine.optimizers import MOMENTS
from progan.stages.memory.live_bytes import LiveBytes
from progan.stages.specs.optimizers import AnyOptimizer

GRADIENTS = "gradients"


class DeepSpeedModel:
    """One network's gradients, moments and ZeRO's copies on one of `ranks` ranks."""

    def __init__(
        self, network: nn.Module, optimizer: AnyOptimizer, zero: int, ranks: int, live: LiveBytes
    ) -> None:
        self._parameters = list(network.parameters())
        self._whole = sum(parameter.numel() for parameter in self._parameters)
        self._share = -(-self._whole // ranks) if zero else self._whole
        self._zero = zero
        self._ranks = ranks
        self._live = live
        self._bucket: Tensor | None = None
        self._averaged: Tensor | None = None
        with live.making("moments"):
            self._moments = [torch.empty(self._share) for _ in MOMENTS[optimizer.kind]]
        with live.making("master_weights"):
            self._master_weights = torch.empty(self._share) if zero else None
        for parameter in self._parameters:
            parameter.register_post_accumulate_grad_hook(self._on_gradient)  # type: ignore[no-untyped-call]

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """The gradients of one part of a step; `last` says whether it is the last part."""
        torch.autograd.backward(loss)
        with self._live.making(GRADIENTS):
            if self._zero:
                if self._zero == 2 or last:
                    self._shard_gradients()
            elif last:
                torch.empty(self._whole)  # flattened for the all-reduce

    def step(self) -> None:
        """The optimiser's, on the weights that are this rank's."""
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
        """Average the bucket over the ranks; of the mean, keep what this rank is to step along."""
        for parameter in self._parameters:
            parameter.grad = None
        if self._ranks > 1:
            torch.empty(self._whole)  # the slices of the bucket flattened anew, by rank
        mean = torch.empty(self._share)
        self._averaged = mean if self._averaged is None else self._averaged
        self._bucket = None
