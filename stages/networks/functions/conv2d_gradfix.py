"""Convolutions whose derivatives of any order are again one of three convolution kernels.

A convolution y of an image x with weights w, and every derivative of it, comes from one number that
is linear in each of three arguments, t(x, w, g) = <g, x * w>: its gradient by g is the convolution,
by x the transposed convolution, by w the weight gradient. Gradients of these are again one of them.

torch differentiates the image gradient, as a gradient penalty needs it, into a convolution with
kernels as large as the image, which takes about twice the time of the equivalent weight gradient
(and turns channels-last maps into contiguous ones). StyleGAN's module of this name does the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.networks.functions import matrix_products
from progan.stages.networks.functions.matrix_products import are_faster as faster_as_product

Arguments = tuple[Tensor | None, Tensor | None, Tensor | None]
"""Images (N, C, s H, s W), weights (C', C, k, k), maps (N, C', H, W), with stride s; one is None"""
IMAGES, WEIGHTS, MAPS = range(3)


class Kernel(NamedTuple):
    """Geometry of a convolution."""

    size: int
    """3 or 1 with stride 1, 4 with stride 2"""
    stride: int

    @property
    def padding(self) -> int:
        """Zeros on each side, so that maps are 1/stride of an image's size."""
        return (self.size - 1) // 2


def conv2d_gradfix(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1) -> Tensor:
    """(N, C, H, W) by (C', C, k, k) -> (N, C', H / stride, W / stride)."""
    return _conv_gradient(MAPS, Kernel(weight.shape[-1], stride), (x, weight, None), bias)


def conv_transpose2d_gradfix(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """(N, C, H, W) by (C, C', k, k) -> (N, C', stride H, stride W)."""
    return _conv_gradient(IMAGES, Kernel(weight.shape[-1], stride), (None, weight, x), bias)


_weight_gradients = True


@contextmanager
def no_weight_gradients() -> Iterator[None]:
    """Skip weight gradients in backward passes: a gradient penalty needs the images' only.

    torch's own operations know which inputs of `autograd.grad` are asked for; a Function does not.
    A global, not a thread-local: CUDA's backward pass runs in another thread.
    """
    global _weight_gradients
    _weight_gradients = False
    try:
        yield
    finally:
        _weight_gradients = True


class _ConvGradient(torch.autograd.Function):
    """The gradient of t by one argument, computed from the two others; plus a bias.

    Of the argument itself, where it is given, only the shape is used.
    """

    @staticmethod
    def forward(
        ctx: Any, by: int, kernel: Kernel, bias: Tensor | None,
        images: Tensor | None, weights: Tensor | None, maps: Tensor | None,
    ) -> Tensor:  # fmt: skip
        ctx.by, ctx.kernel = by, kernel
        arguments = images, weights, maps
        ctx.save_for_backward(*(None if i == by else arguments[i] for i in range(3)))
        return _compute(by, kernel, arguments, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        (grad,) = grad_outputs
        needs_bias = ctx.needs_input_grad[2] and _weight_gradients
        grad_bias = grad.sum(dim=(0, 2, 3)) if needs_bias else None
        arguments = [grad if saved is None else saved for saved in ctx.saved_tensors]
        grads: list[Tensor | None] = [None, None, None]
        for by, needed in enumerate(ctx.needs_input_grad[3:]):
            if needed and (by != WEIGHTS or _weight_gradients):
                inputs = [x.detach() if i == by else x for i, x in enumerate(arguments)]
                grads[by] = _ConvGradient.apply(by, ctx.kernel, None, *inputs)
        return None, None, grad_bias, *grads


def _conv_gradient(by: int, kernel: Kernel, arguments: Arguments, bias: Tensor | None) -> Tensor:
    weights = arguments[WEIGHTS]
    assert weights is not None
    device = weights.device.type
    if torch.is_autocast_enabled(device):  # which does not reach into a Function's derivatives
        half = torch.get_autocast_dtype(device)
        bias = None if bias is None else bias.to(half)
        arguments = tuple(x if x is None else x.to(half) for x in arguments)  # type: ignore[assignment]
    # A compiled graph cannot contain the Function and needs none: it is differentiated once.
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return _compute(by, kernel, arguments, bias)
    output: Tensor = _ConvGradient.apply(by, kernel, bias, *arguments)
    return output


def _compute(by: int, kernel: Kernel, arguments: Arguments, bias: Tensor | None) -> Tensor:
    images, weights, maps = arguments
    geometry = [kernel.stride] * 2, [kernel.padding] * 2
    if by == MAPS:
        assert images is not None and weights is not None
        if faster_as_product(weights.shape, images, kernel.stride * matrix_products.SMALL):
            return matrix_products.convolve(images, weights, bias, kernel.stride)
        return F.conv2d(images, weights, bias, *geometry)
    assert maps is not None and weights is not None
    if by == IMAGES and faster_as_product(weights.shape, maps, matrix_products.SMALL):
        return matrix_products.image_gradient(maps, weights, bias, kernel.stride)
    if images is None:
        return F.conv_transpose2d(maps, weights, bias, *geometry)
    if by == WEIGHTS and faster_as_product(weights.shape, maps, matrix_products.SMALL_FOR_WEIGHTS):
        return matrix_products.weight_gradient(images, maps, *kernel)
    mask = [by == IMAGES, by == WEIGHTS, False]
    grads: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        maps, images, weights, None, *geometry, [1, 1], False, [0, 0], 1, mask
    )
    return grads[by]
