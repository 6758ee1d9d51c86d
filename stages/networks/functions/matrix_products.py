"""Convolutions of small maps as matrix products, for CPUs that multiply bf16.

There oneDNN's convolutions spend much of their time on reordering weights. In bf16, with 512
channels in and out, 16 maps of 4x4 pixels and one core, a 3x3 convolution, its weight gradient and
its image gradient took 3.4, 10.2 and 4.1 ms with AMX, and the products here 1.6, 1.6 and 1.8; with
AVX512_BF16 alone 3.5, 4.5 and 3.5 ms against 2.4, 2.4 and 2.7. From 16x16 pixels on oneDNN is
faster.
"""

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

SMALL, SMALL_FOR_WEIGHTS = 4, 8
"""Largest maps, in pixels a side, for which products are faster, and for weight gradients"""
WIDE = 256
"""Channels, in and out, from which they are"""


def are_faster(weights: torch.Size | Sequence[int], maps: Tensor, largest: int) -> bool:
    """Whether to use this module: weights of this shape, maps of at most `largest` pixels a side.

    A rule of shapes and machine alone, so that a run computes the same however it is resumed.
    """
    return (
        maps.dtype == torch.bfloat16
        and maps.shape[-1] <= largest
        and weights[-1] > 1
        and min(weights[:2]) >= WIDE
        and maps.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and multiplies_bf16()
    )


@cache
def multiplies_bf16() -> bool:
    """Whether this CPU has AMX or AVX512_BF16. Private names of torch: public ones came later."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def convolve(images: Tensor, weights: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """(N, C, s h, s w) by (C', C, k, k) -> (N, C', h, w)."""
    windows = unfold(images, weights.shape[-1], stride)
    maps = new_maps(images, len(weights), windows.shape[1:3])
    out = pixels_of(maps).flatten(0, 2)
    if bias is None:
        torch.mm(windows.flatten(0, 2), rows(weights).t(), out=out)
    else:
        torch.addmm(bias, windows.flatten(0, 2), rows(weights).t(), out=out)
    return maps


def weight_gradient(images: Tensor, maps: Tensor, size: int, stride: int) -> Tensor:
    """(N, C, s h, s w) and (N, C', h, w) -> (C', C, k, k)."""
    windows = unfold(images, size, stride).flatten(0, 2)
    product = pixels_of(maps).flatten(0, 2).t() @ windows
    return product.reshape(-1, size, size, images.shape[1]).permute(0, 3, 1, 2)


def image_gradient(maps: Tensor, weights: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """(N, C', h, w) by (C', C, k, k) -> (N, C, s h, s w)."""
    samples, _, height, width = maps.shape
    _, channels, size, _ = weights.shape
    pixels = pixels_of(maps).flatten(0, 2) @ rows(weights)
    windows = pixels.reshape(samples, height, width, size, size, channels)
    margin = (size - 1) // 2
    # Added up in float32: half precision would round at each of the k k sums.
    padded = samples, stride * height + 2 * margin, stride * width + 2 * margin, channels
    sums = pixels.new_zeros(padded, dtype=torch.float32)
    for row in range(size):
        for column in range(size):
            under = sums[:, row::stride, column::stride][:, :height, :width]
            under += windows[:, :, :, row, column]
    inner = sums[:, margin : margin + stride * height, margin : margin + stride * width]
    images = new_maps(maps, channels, inner.shape[1:3])
    pixels_of(images).copy_(inner if bias is None else inner + bias)
    return images


def unfold(images: Tensor, size: int, stride: int) -> Tensor:
    """The window around every map's pixel: (N, C, s h, s w) -> (N, h, w, k k C)."""
    margin = (size - 1) // 2
    padded = F.pad(pixels_of(images), (0, 0, margin, margin, margin, margin))
    windows = padded.unfold(1, size, stride).unfold(2, size, stride)  # (N, h, w, C, k, k)
    return windows.permute(0, 1, 2, 4, 5, 3).flatten(3)


def rows(weights: Tensor) -> Tensor:
    """(C', C, k, k) -> (C', k k C); a view with channels last."""
    return pixels_of(weights).flatten(1)


def pixels_of(maps: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, h, w, C)."""
    return maps.permute(0, 2, 3, 1)


def new_maps(like: Tensor, channels: int, size: Sequence[int]) -> Tensor:
    """Maps to be written, channels last: not a view, as what follows may change them in place."""
    shape = len(like), channels, *size
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )
