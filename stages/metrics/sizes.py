"""Sizes of the sliced Wasserstein distance's computation, and the memory it takes; no torch."""

SWD_SMALLEST = 16
"""Side of the smallest level of the pyramid"""
PATCH = 7
"""Side of a patch"""
PATCHES = 128
"""Patches of a picture at each level"""
DIRECTIONS = 512
"""Random directions that patches are projected on"""
DIRECTIONS_PER_CHUNK = 16
"""Directions whose projections are in memory together; at least one per rank"""
PATCH_BYTES, PROJECTION_BYTES = 2, 4
"""Of one number: half and single precision"""


def swd_sides(resolution: int) -> list[int]:
    """Sides of the pyramid's levels, from the resolution down."""
    sides = []
    while resolution >= SWD_SMALLEST:
        sides.append(resolution)
        resolution //= 2
    return sides


def swd_bytes(resolution: int, channels: int, images: int, ranks: int) -> int:
    """Memory of one of `ranks` ranks that compare `images` fakes with as many reals.

    Patches, on the host, and buffers of projections, on the device.
    """
    own, chunk = images // ranks * PATCHES, max(DIRECTIONS_PER_CHUNK, ranks)
    patches = own * channels * PATCH**2 * PATCH_BYTES * len(swd_sides(resolution))
    gathered = 1 + ranks  # its own projections, and those of all ranks
    projections = (
        gathered * own * chunk + images * PATCHES * -(-chunk // ranks)
    ) * PROJECTION_BYTES
    return 2 * (patches + projections)
