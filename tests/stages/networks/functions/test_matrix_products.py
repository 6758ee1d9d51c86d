"""Convolutions as matrix products, against torch's in float64."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F

from progan.stages.networks.functions import matrix_products
from progan.stages.networks.functions.conv2d_gradfix import conv2d_gradfix, conv_transpose2d_gradfix

GEOMETRIES = [(3, 1), (4, 2)]


@pytest.fixture(autouse=True)
def a_cpu_with_matrix_units() -> Iterator[None]:
    with patch.object(matrix_products, "multiplies_bf16", lambda: True):
        yield


@pytest.mark.parametrize(("size", "stride"), GEOMETRIES)
def test_products_agree_with_torchs_convolutions(size: int, stride: int) -> None:
    torch.manual_seed(0)
    images = torch.randn(3, 5, 4 * stride, 4 * stride).double().requires_grad_()
    weights, bias = torch.randn(6, 5, size, size).double().requires_grad_(), torch.randn(6).double()
    expected = F.conv2d(images, weights, bias, stride, (size - 1) // 2)
    torch.testing.assert_close(
        matrix_products.convolve(images.detach(), weights.detach(), bias, stride), expected
    )
    maps = torch.randn_like(expected)
    by_images, by_weights = torch.autograd.grad(expected, (images, weights), maps)
    torch.testing.assert_close(
        matrix_products.weight_gradient(images.detach(), maps, size, stride), by_weights
    )
    torch.testing.assert_close(
        matrix_products.image_gradient(maps, weights.detach(), None, stride),
        by_images,
        atol=1e-5,  # added up in float32
        rtol=1e-5,
    )


@pytest.mark.parametrize("side", [2, 4, 8])
@pytest.mark.parametrize(
    ("up", "size", "stride"),
    [(False, 3, 1), (False, 4, 2), (True, 4, 2)],
    ids=["3x3", "down", "up"],
)
def test_wide_layers_in_bf16_keep_their_gradients(
    up: bool, size: int, stride: int, side: int
) -> None:
    """First and second derivatives, as a gradient penalty takes them, in bf16 and in float32."""
    torch.manual_seed(0)
    wide = matrix_products.WIDE

    def derivatives(dtype: torch.dtype) -> torch.Tensor:
        torch.manual_seed(1)
        x = torch.randn(2, wide, side if up else stride * side, side if up else stride * side)
        weights = torch.randn(wide, wide, size, size) / 48
        x, weights = (
            t.to(dtype, memory_format=torch.channels_last).requires_grad_() for t in (x, weights)
        )
        convolve = conv_transpose2d_gradfix if up else conv2d_gradfix
        y = convolve(x, weights, torch.zeros(wide, dtype=dtype), stride)
        y = F.leaky_relu(y, inplace=True)
        (by_x,) = torch.autograd.grad(y.float().square().sum(), x, create_graph=True)
        second = torch.autograd.grad(by_x.float().square().sum(), (x, weights))
        return torch.cat([each.flatten().float() for each in second])

    exact, half = derivatives(torch.float32), derivatives(torch.bfloat16)
    assert (half - exact).norm() < 0.02 * exact.norm()
