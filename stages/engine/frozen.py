"""Weights that an update leaves as they are."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Let gradients flow through modules, but compute none of their weights.

    An update does not change such a weight by a bit if it has had no gradient since its moments
    were reset: the optimizer skips it, or in a shard steps by 0 / (0 + eps).
    """
    for module in modules:
        module.requires_grad_(False)
    try:
        yield
    finally:
        for module in modules:
            module.requires_grad_(True)
