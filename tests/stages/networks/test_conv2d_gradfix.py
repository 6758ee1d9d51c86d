"""Convolutions that can be differentiated any number of times, against torch's own."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.networks.conv2d_gradfix import (
    conv2d_gradfix,
    conv_transpose2d_gradfix,
    no_weight_gradients,
)

Inputs = tuple[Tensor, Tensor, Tensor]
Operation = Callable[[Tensor, Tensor, Tensor], Tensor]


def inputs(rows: int, columns: int, size: int) -> Inputs:
    """Images of 3 channels, weights and as many biases as come out."""
    torch.manual_seed(0)
    shapes = (2, 3, 4, 4), (rows, columns, size, size), (5,)
    x, weight, bias = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes)
    return x, weight, bias


KINDS: dict[str, tuple[Operation, Operation, Inputs]] = {
    "3x3": (conv2d_gradfix, lambda x, w, b: F.conv2d(x, w, b, padding=1), inputs(5, 3, 3)),
    "1x1": (conv2d_gradfix, F.conv2d, inputs(5, 3, 1)),
    "4x4 down": (
        lambda x, w, b: conv2d_gradfix(x, w, b, stride=2),
        lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1),
        inputs(5, 3, 4),
    ),
    "4x4 up": (
        lambda x, w, b: conv_transpose2d_gradfix(x, w, b, stride=2),
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1),
        inputs(3, 5, 4),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_torchs(kind: str) -> None:
    ours, torchs, given = KINDS[kind]
    assert torch.equal(ours(*given), torchs(*given))
    with torch.no_grad():
        assert torch.equal(ours(*given), torchs(*given))


@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives_are_those_of_differences(kind: str) -> None:
    ours, _, given = KINDS[kind]
    assert torch.autograd.gradcheck(ours, given)
    assert torch.autograd.gradgradcheck(ours, given)


@pytest.mark.parametrize("kind", KINDS)
def test_a_third_derivative_is_torchs(kind: str) -> None:
    ours, torchs, (x, weight, bias) = KINDS[kind]

    def third(operation: Operation) -> Tensor:
        y = operation(x, weight, bias).tanh().sum()
        for _ in range(2):
            (slope,) = torch.autograd.grad(y, weight, create_graph=True)
            y = slope.square().sum()
        return torch.autograd.grad(y, x)[0]

    torch.testing.assert_close(third(ours), third(torchs))


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_penaltys_slopes_are_torchs(kind: str) -> None:
    ours, torchs, (x, weight, bias) = KINDS[kind]

    def slopes(operation: Operation) -> tuple[Tensor, ...]:
        with no_weight_gradients():
            y = operation(x, weight, bias).square().sum()
            (slope,) = torch.autograd.grad(y, x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), (x, weight, bias))

    torch.testing.assert_close(slopes(ours), slopes(torchs))


def test_autocast_computes_and_differentiates_in_half_precision() -> None:
    x, weight, bias = (part.detach().float().requires_grad_() for part in inputs(5, 3, 3))
    with torch.autocast("cpu", torch.bfloat16):
        y = conv2d_gradfix(x, weight, bias)
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert y.dtype == torch.bfloat16
    (of_weight,) = torch.autograd.grad(slope.square().sum(), weight)
    assert of_weight.dtype == torch.float32
    assert of_weight.isfinite().all() and of_weight.any()
