"""Convolutions whose derivatives of any order are convolutions of the same form again.

A convolution y of an image x by weights w, and every derivative of it, comes from one number that
is linear in each of the three, t(x, w, y') = <y', x * w>: its slope by y' is the convolution, by x
the transposed one, by w the gradient of the weights. Slopes of slopes are again one of the three.

torch differentiates the gradient of the images, as a gradient penalty needs it, into a convolution
with kernels as large as a picture, which takes about twice as long as the gradient of the weights
that it is (and turns channels-last maps around).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Parts = tuple[Tensor | None, Tensor | None, Tensor | None]
"""Images (N, C, s H, s W), weights (C', C, k, k), maps (N, C', H, W), with stride s; one is None"""
IMAGES, WEIGHTS, MAPS = range(3)


class Kernel(NamedTuple):
    """What the parts do not say themselves."""

    size: int
    """3 or 1 with stride 1, 4 with stride 2"""
    stride: int

    @property
    def padding(self) -> int:
        """Zeros on each side, so that maps are 1/stride of an image's size."""
        return (self.size - 1) // 2


def conv2d_gradfix(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1) -> Tensor:
    """(N, C, H, W) by (C', C, k, k) -> (N, C', H / stride, W / stride)."""
    return _conv_gradient(MAPS, Kernel(weight.shape[-1], stride), (x, weight, None), bias)


def conv_transpose2d_gradfix(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """(N, C, H, W) by (C, C', k, k) -> (N, C', stride H, stride W)."""
    return _conv_gradient(IMAGES, Kernel(weight.shape[-1], stride), (None, weight, x), bias)


_weights_wanted = True


@contextmanager
def no_weight_gradients() -> Iterator[None]:
    """While active, backward passes leave out the weights' gradients.

    torch's own operations see by themselves which gradients are asked for, ours cannot. Not kept by
    thread: CUDA's backward pass runs in one of its own.
    """
    global _weights_wanted
    _weights_wanted = False
    try:
        yield
    finally:
        _weights_wanted = True


class _ConvGradient(torch.autograd.Function):
    """The slope of t by one part, from the two others; a bias is added to it.

    Of the part itself, where it is given, only the shape counts.
    """

    @staticmethod
    def forward(
        ctx: Any, by: int, kernel: Kernel, bias: Tensor | None,
        images: Tensor | None, weights: Tensor | None, maps: Tensor | None,
    ) -> Tensor:  # fmt: skip
        ctx.by, ctx.kernel = by, kernel
        parts = images, weights, maps
        ctx.save_for_backward(*(None if part == by else parts[part] for part in range(3)))
        return _compute(by, kernel, parts, bias)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Any, ...]:
        (slope,) = slopes
        of_bias = slope.sum(dim=(0, 2, 3)) if ctx.needs_input_grad[2] and _weights_wanted else None
        parts = [slope if part is None else part for part in ctx.saved_tensors]
        found: list[Tensor | None] = [None, None, None]
        for part, needed in enumerate(ctx.needs_input_grad[3:]):
            if needed and (part != WEIGHTS or _weights_wanted):
                shaped = [each.detach() if at == part else each for at, each in enumerate(parts)]
                found[part] = _ConvGradient.apply(part, ctx.kernel, None, *shaped)
        return None, None, of_bias, *found


def _conv_gradient(by: int, kernel: Kernel, parts: Parts, bias: Tensor) -> Tensor:
    device = bias.device.type
    if torch.is_autocast_enabled(device):  # which does not reach into a Function's derivatives
        half = torch.get_autocast_dtype(device)
        bias, parts = bias.to(half), tuple(p if p is None else p.to(half) for p in parts)  # type: ignore[assignment]
    # A graph cannot hold the Function, and needs none: it is differentiated once.
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return _compute(by, kernel, parts, bias)
    found: Tensor = _ConvGradient.apply(by, kernel, bias, *parts)
    return found


def _compute(by: int, kernel: Kernel, parts: Parts, bias: Tensor | None) -> Tensor:
    images, weights, maps = parts
    geometry = [kernel.stride] * 2, [kernel.padding] * 2
    if by == MAPS:
        assert images is not None and weights is not None
        return F.conv2d(images, weights, bias, *geometry)
    assert maps is not None and weights is not None
    if images is None:
        return F.conv_transpose2d(maps, weights, bias, *geometry)
    wanted = [part == by for part in (IMAGES, WEIGHTS)]
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        maps, images, weights, None, *geometry, [1, 1], False, [0, 0], 1, [*wanted, False]
    )
    return found[by]
