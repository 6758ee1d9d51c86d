"""Bilinear sampling that can be differentiated twice, by the pictures; torch's grid_sample cannot.

For given places it is a linear map of the pictures, so its derivative is its adjoint, and the
adjoint's is the map itself; the idea is StyleGAN2-ADA's (`grid_sample_gradfix`).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BILINEAR, ZEROS = 0, 0
"""torch's numbers of its modes"""


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """As `grid_sample(..., align_corners=True)`; zero outside. The grid is not differentiated.

    images: (N, C, H, W); grid: (N, H', W', 2) in [-1, 1], x before y; returns (N, C, H', W').
    """
    found: Tensor = _Sample.apply(images, grid)
    return found


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.size = images.shape
        return F.grid_sample(images, grid, padding_mode="zeros", align_corners=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Adjoint.apply(gradients[0], grid, ctx.size), None


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: Tensor, grid: Tensor, size: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        images = gradient.new_empty(1).expand(size)  # only its shape counts
        found: Tensor = torch.ops.aten.grid_sampler_2d_backward(
            gradient, images, grid, BILINEAR, ZEROS, True, [True, False]
        )[0]
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(gradients[0], grid), None, None
