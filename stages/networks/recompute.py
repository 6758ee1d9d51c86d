"""Activation checkpointing: blocks that are computed again in the backward pass."""

from collections.abc import Callable

from torch import Tensor
from torch.utils.checkpoint import checkpoint


def run(block: Callable[[Tensor], Tensor], x: Tensor, *, recompute: bool) -> Tensor:
    """block(x); with `recompute` only x is kept of it, and the backward pass runs it again.

    Nothing but memory and time depends on that, in a double backward and under autocast too. The
    networks draw no random numbers, so no generator's state is kept. Source: Chen et al. 2016,
    arXiv 1604.06174.
    """
    y: Tensor = (
        checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
        if recompute
        else block(x)
    )
    return y
