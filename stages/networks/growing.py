"""How far a network has grown."""

from typing import NamedTuple


class Growing(NamedTuple):
    """What a stage builds of a network."""

    resolution: int
    fading: bool = False
    """Whether the previous resolution's layer to or from RGB is there, for the fade"""
    recompute_from: int | None = None
    """Resolution from which on blocks are recomputed in the backward pass"""
