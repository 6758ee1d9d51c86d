"""FLOP counts against counting by hand."""

import torch
import torch.nn.functional as F

from measuring.flop import FlopCount


def test_flop_of_convolution_and_its_gradients() -> None:
    images = torch.randn(2, 3, 8, 8, requires_grad=True)
    kernel = torch.randn(5, 3, 3, 3, requires_grad=True)
    forward = 2 * (2 * 5 * 8 * 8) * (3 * 3 * 3)
    with FlopCount() as count:
        maps = F.conv2d(images, kernel, padding=1)
    assert count.total == forward
    with FlopCount() as count:
        maps.sum().backward()  # type: ignore[no-untyped-call]
    assert count.total == 2 * forward


def test_flop_of_gradient_penalty_includes_double_backward() -> None:
    images, weights = torch.randn(4, 6, requires_grad=True), torch.randn(6, 6, requires_grad=True)
    with FlopCount() as count:
        logits = (images @ weights).tanh() @ weights
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        torch.autograd.grad(gradient.square().sum(), weights)
    # Two products forward, two for the gradient. Double backward: three through the gradient's two
    # products (both factors of one, one factor of the other), one for the first product's weights.
    assert count.total == 8 * (2 * 4 * 6 * 6)
