"""All resolutions of a picture: each level is the exact box mean of the top level.

The official tool (Karras et al. 2018, `dataset_tool.py`) carries unrounded means from level to
level and rounds each level once. Sums of integers do the same exactly, and faster.

With alpha, colors are means weighted by alpha, as of colors that are multiplied by it (Porter and
Duff 1984, "Compositing Digital Images"): what is transparent does not bleed into what is seen.
"""

import numpy as np

from progan.datasets.format.codec import Pixels

SMALLEST = 4
LARGEST = 1024


def resolutions(top: int) -> list[int]:
    """The powers of two from 4 to `top`, ascending. Raises ValueError for any other `top`."""
    if not SMALLEST <= top <= LARGEST or top & (top - 1):
        raise ValueError(f"resolution {top} is not a power of two from {SMALLEST} to {LARGEST}")
    return [1 << k for k in range(SMALLEST.bit_length() - 1, top.bit_length())]


def pyramid(top: Pixels) -> dict[int, Pixels]:
    """uint8 [R, R, C] -> {resolution: uint8 [resolution, resolution, C]} from 4 to R, ascending.

    Rounds once per level, halves to even, as numpy.rint does. With C = 4, colors are weighted by
    alpha; where all of it is 0, they are plain means. Raises ValueError if the picture is not
    square or its side is not a power of two from 4 to 1024.
    """
    side = top.shape[0]
    if top.ndim != 3 or top.shape[1] != side or top.dtype != np.uint8:
        raise ValueError(f"not a square uint8 picture: {top.dtype} {top.shape}")
    levels = {side: top}
    # Sums of 4^4 bytes fit 16 bits, which halves the memory traffic of the largest levels.
    sums = top.astype(np.uint16)
    weighted = _weighted_by_alpha(top)
    for halvings, resolution in enumerate(reversed(resolutions(side)[:-1]), start=1):
        if halvings == 5:
            sums = sums.astype(np.uint32)
        sums = _halved(sums)
        levels[resolution] = _rounded_mean(sums, shift=2 * halvings)
        alpha = sums[:, :, 3:].astype(np.float64)
        for k, color in enumerate(weighted):
            weighted[k] = _halved(color)
            # The quotient in float64 is a half only if it is exactly one.
            mean = np.rint(weighted[k] / np.maximum(alpha, 1)).astype(np.uint8)
            np.copyto(levels[resolution][:, :, k : k + 1], mean, where=alpha > 0)
    return dict(sorted(levels.items()))


def _weighted_by_alpha(top: Pixels) -> list[np.ndarray]:
    """Each color times alpha, uint32 [R, R, 1], whose sums over 4^8 pixels just fit; none without.

    One array for each color: NumPy is slow if the innermost axis is as short as three.
    """
    if top.shape[2] != 4:
        return []
    alpha = top[:, :, 3:].astype(np.uint32)
    return [top[:, :, k : k + 1] * alpha for k in range(3)]


def _halved(sums: np.ndarray) -> np.ndarray:
    """Sums over 2x2 pixels: [2 R, 2 R, C] -> [R, R, C]."""
    resolution, channels = len(sums) // 2, sums.shape[2]
    pairs = (sums[0::2] + sums[1::2]).reshape(resolution, resolution, 2 * channels)
    halved = np.empty((resolution, resolution, channels), dtype=sums.dtype)
    # Channel by channel: NumPy is slow if the innermost axis is as short as three.
    for k in range(channels):
        np.add(pairs[:, :, k], pairs[:, :, channels + k], out=halved[:, :, k])
    return halved


def _rounded_mean(sums: np.ndarray, shift: int) -> Pixels:
    """sums / 2**shift, halves to even, in integers."""
    half = sums.dtype.type((1 << (shift - 1)) - 1)
    odd = (sums >> shift) & 1
    rounded: Pixels = ((sums + half + odd) >> shift).astype(np.uint8)
    return rounded
