"""Convolutions with derivatives of any order, against torch's own."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.networks.functions.conv2d_gradfix import (
    conv2d_gradfix,
    conv_transpose2d_gradfix,
    no_weight_gradients,
)

Inputs = tuple[Tensor, Tensor, Tensor]
Operation = Callable[[Tensor, Tensor, Tensor], Tensor]


def random_inputs(rows: int, columns: int, size: int) -> Inputs:
    """Images of 3 channels, weights, and one bias per output channel."""
    torch.manual_seed(0)
    shapes = (2, 3, 4, 4), (rows, columns, size, size), (5,)
    x, weight, bias = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes)
    return x, weight, bias


KINDS: dict[str, tuple[Operation, Operation, Inputs]] = {
    "3x3": (conv2d_gradfix, lambda x, w, b: F.conv2d(x, w, b, padding=1), random_inputs(5, 3, 3)),
    "1x1": (conv2d_gradfix, F.conv2d, random_inputs(5, 3, 1)),
    "4x4 down": (
        lambda x, w, b: conv2d_gradfix(x, w, b, stride=2),
        lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1),
        random_inputs(5, 3, 4),
    ),
    "4x4 up": (
        lambda x, w, b: conv_transpose2d_gradfix(x, w, b, stride=2),
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1),
        random_inputs(3, 5, 4),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_forward_equals_torch(kind: str) -> None:
    ours, torchs, inputs = KINDS[kind]
    assert torch.equal(ours(*inputs), torchs(*inputs))
    with torch.no_grad():
        assert torch.equal(ours(*inputs), torchs(*inputs))


@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives_match_finite_differences(kind: str) -> None:
    ours, _, inputs = KINDS[kind]
    assert torch.autograd.gradcheck(ours, inputs)
    assert torch.autograd.gradgradcheck(ours, inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_third_derivative_equals_torch(kind: str) -> None:
    ours, torchs, (x, weight, bias) = KINDS[kind]

    def third(operation: Operation) -> Tensor:
        y = operation(x, weight, bias).tanh().sum()
        for _ in range(2):
            (gradient,) = torch.autograd.grad(y, weight, create_graph=True)
            y = gradient.square().sum()
        return torch.autograd.grad(y, x)[0]

    torch.testing.assert_close(third(ours), third(torchs))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_a_gradient_penalty_equal_torch(kind: str) -> None:
    ours, torchs, (x, weight, bias) = KINDS[kind]

    def gradients(operation: Operation) -> tuple[Tensor, ...]:
        with no_weight_gradients():
            y = operation(x, weight, bias).square().sum()
            (gradient,) = torch.autograd.grad(y, x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), (x, weight, bias))

    torch.testing.assert_close(gradients(ours), gradients(torchs))


def test_autocast_runs_forward_and_backward_in_half_precision() -> None:
    x, weight, bias = (part.detach().float().requires_grad_() for part in random_inputs(5, 3, 3))
    with torch.autocast("cpu", torch.bfloat16):
        y = conv2d_gradfix(x, weight, bias)
        (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert y.dtype == torch.bfloat16
    (weight_gradient,) = torch.autograd.grad(gradient.square().sum(), weight)
    assert weight_gradient.dtype == torch.float32
    assert weight_gradient.isfinite().all() and weight_gradient.any()
