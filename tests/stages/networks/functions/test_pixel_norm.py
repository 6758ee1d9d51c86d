"""Pixel norm's own gradients against autograd's of the formula."""

import pytest
import torch

from progan.stages.networks.functions.pixel_norm import _PixelNorm, pixel_norm


def test_first_and_second_derivatives_are_those_of_the_formula() -> None:
    x = torch.randn(2, 5, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(_PixelNorm.apply, x)
    assert torch.autograd.gradgradcheck(_PixelNorm.apply, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_values_are_rounded_once(dtype: torch.dtype) -> None:
    x = (torch.randn(2, 64, 4, 4) * 30).to(dtype)
    exact = x.double() * torch.rsqrt(x.double().square().mean(dim=1, keepdim=True) + 1e-8)
    torch.testing.assert_close(
        pixel_norm(x).double(), exact, rtol=2 * torch.finfo(dtype).eps, atol=0
    )
