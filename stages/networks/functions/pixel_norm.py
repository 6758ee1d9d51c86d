"""Pixel norm, with a backward pass that keeps one map and makes few others."""

from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-8


def pixel_norm(x: Tensor) -> Tensor:
    """Scale the feature vector of every pixel to unit mean square (PGGAN, section 4.2).

    Works on (N, C, H, W) features and on (N, C) latents. The norm is taken in float32 or better.
    """
    if torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return x * inverse_rms(x).to(x.dtype)
    y: Tensor = _PixelNorm.apply(x)
    return y


class _PixelNorm(torch.autograd.Function):
    """y = x r with r = (mean of x^2 over the channels + epsilon)^(-1/2).

    With m = mean of g x over the channels, the gradient is r g - r^3 m x. Autograd's own takes
    seven steps over maps in float32, an eighth of a bf16 step at 32x32 on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        r = inverse_rms(x)
        ctx.save_for_backward(x, r)
        return x * r.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        (x, r), (grad,) = ctx.saved_tensors, grad_outputs
        if torch.is_grad_enabled():  # to be differentiated again, by x
            r = inverse_rms(x)
        m = (grad * x).mean(dim=1, keepdim=True, dtype=r.dtype)
        return torch.addcmul(grad * r.to(x.dtype), x, (m * r**3).to(x.dtype), value=-1)


def inverse_rms(x: Tensor) -> Tensor:
    """(mean of x^2 over the channels + epsilon)^(-1/2), (N, 1, ...), in float32 or better."""
    if x.dtype in (torch.float32, torch.float64):
        mean_square = x.square().mean(dim=1, keepdim=True)
    else:  # reads half precision and adds up in float32, without a copy in float32
        norm = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float32)
        mean_square = norm.square() / x.shape[1]
    return torch.rsqrt(mean_square + EPSILON)
