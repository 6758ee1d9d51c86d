"""Unrolled GANs: the generator's update looks some discriminator steps ahead.

With theta_0 = theta_D and theta_(k+1) = theta_k - a step down the discriminator's loss, the
generator minimises its loss against theta_K and differentiates through all steps: its gradient has
a second term, for how the discriminator will react. Source: Metz et al. 2017 (arXiv 1611.02163),
eqs. 4, 5, 7 and 10. The steps are the discriminator's own: by its optimizer, from its moments.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from progan.stages.engine.optimizers import RULES, Moments
from progan.stages.specs.optimizers import AnyOptimizer


class Called(nn.Module):
    """A network called by one of its methods: `functional_call` has weights for calls only."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, method: str, *inputs: Any, **options: Any) -> Any:
        """Call the method."""
        return getattr(self.network, method)(*inputs, **options)


class UnrolledDiscriminator:
    """A discriminator with other weights, through which gradients flow. Its own do not change."""

    def __init__(self, network: nn.Module, weights: Tensor) -> None:
        self.network = network
        self.weights = weights
        """(P,): all parameters, in order"""
        named = dict(network.named_parameters())
        parts = torch.split(weights, [parameter.numel() for parameter in named.values()])
        self._named = {
            name: part.view_as(parameter)
            for (name, parameter), part in zip(named.items(), parts, strict=True)
        } | {name: buffer.clone() for name, buffer in network.named_buffers()}

    def __call__(self, *inputs: Any) -> Any:
        """The network's `forward`."""
        return functional_call(self.network, self._named, inputs)

    def forward_features(self, *inputs: Any, **options: Any) -> Any:
        """The discriminator's `forward_features`."""
        return self._call("forward_features", *inputs, **options)

    def forward_both(self, *inputs: Any) -> Any:
        """The discriminator's `forward_both`."""
        return self._call("forward_both", *inputs)

    def _call(self, *inputs: Any, **options: Any) -> Any:
        named = {f"network.{name}": value for name, value in self._named.items()}
        return functional_call(Called(self.network), named, inputs, options)


def flat_weights(network: nn.Module) -> Tensor:
    """A copy of all parameters, in order: (P,)."""
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def unroll(
    network: nn.Module,
    moments: Moments,
    optimizer: AnyOptimizer,
    lr: float,
    losses: Iterable[Callable[[UnrolledDiscriminator], Tensor]],
    mean: Callable[[Tensor], Tensor] = lambda gradient: gradient,
    loss_factor: float = 1.0,
) -> UnrolledDiscriminator:
    """The network after one optimizer step on each of the losses, differentiable through all steps.

    mean: a differentiable mean over the ranks, so that all take the same steps. With a loss factor
    (fp16) a step whose gradient overflows is skipped, as the engine skips it.
    """
    ahead = UnrolledDiscriminator(network, flat_weights(network).requires_grad_())
    for loss in losses:
        scaled = loss(ahead) * loss_factor
        (gradient,) = torch.autograd.grad(scaled, ahead.weights, create_graph=True)
        gradient = mean(gradient) / loss_factor
        if loss_factor != 1 and not gradient.isfinite().all():
            continue
        direction, moments = RULES[optimizer.kind](optimizer, gradient, moments)
        ahead = UnrolledDiscriminator(network, ahead.weights - lr * direction)
    return ahead
