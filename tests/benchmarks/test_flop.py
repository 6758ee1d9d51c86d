"""The count of a step's work, against counting by hand."""

import torch
import torch.nn.functional as F

from flop import FlopCount


def test_a_convolution_and_its_gradients() -> None:
    images = torch.randn(2, 3, 8, 8, requires_grad=True)
    kernel = torch.randn(5, 3, 3, 3, requires_grad=True)
    forward = 2 * (2 * 5 * 8 * 8) * (3 * 3 * 3)
    with FlopCount() as count:
        made = F.conv2d(images, kernel, padding=1)
    assert count.total == forward
    with FlopCount() as count:
        made.sum().backward()  # type: ignore[no-untyped-call]
    assert count.total == 2 * forward


def test_a_gradient_penalty_is_seen_through() -> None:
    images, weights = torch.randn(4, 6, requires_grad=True), torch.randn(6, 6, requires_grad=True)
    with FlopCount() as count:
        found = (images @ weights).tanh() @ weights
        (slope,) = torch.autograd.grad(found.sum(), images, create_graph=True)
        torch.autograd.grad(slope.square().sum(), weights)
    # Two products, two for the slope. Of the loss: the slope's gradient passes back through its two
    # (both factors, but one alone) and then through the first product's weights.
    assert count.total == 8 * (2 * 4 * 6 * 6)
