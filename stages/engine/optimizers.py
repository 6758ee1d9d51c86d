"""Optimizers by name: torch's, and the same step as a differentiable function."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from progan.stages.specs.optimizers import AdamSpec, AnyOptimizer, RmsPropSpec, SgdSpec


def make_optimizer(
    parameters: Iterable[nn.Parameter], lr: float, spec: AnyOptimizer
) -> torch.optim.Optimizer:
    """The optimizer that a configuration asks for."""
    match spec:
        case AdamSpec():
            betas = spec.beta1, spec.beta2
            # Fused: one pass over the weights, on CPUs too.
            return torch.optim.Adam(parameters, lr, betas=betas, eps=spec.eps, fused=True)
        case RmsPropSpec():
            return torch.optim.RMSprop(parameters, lr, alpha=spec.alpha, eps=spec.eps)
        case SgdSpec():
            return CountingSgd(parameters, lr, momentum=spec.momentum, nesterov=spec.nesterov)


class CountingSgd(torch.optim.SGD):
    """torch's SGD, which counts its steps in every weight's state as torch's Adam does."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; then the counts."""
        loss = super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.state[parameter].setdefault("step", torch.zeros(())).add_(1)
        return loss


def reset_moments(optimizer: torch.optim.Optimizer) -> None:
    """Set an optimizer's moments and step counts to 0, as at the start of training.

    The official code does so when a resolution begins to fade and when it is fully grown.
    """
    for state in optimizer.state.values():
        for value in state.values():
            value.zero_()


class Moments(NamedTuple):
    """An optimizer's state of P weights, flattened."""

    step: Tensor
    """(), float64 on the device: the host does not wait for it"""
    flat: dict[str, Tensor]
    """By torch's names, each (P,)"""


def safe_sqrt(x: Tensor) -> Tensor:
    """Square roots whose gradient at 0 is 0, not infinite: 0 times infinity would be NaN."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)


def adam(spec: AdamSpec, gradient: Tensor, before: Moments) -> tuple[Tensor, Moments]:
    """Kingma and Ba 2015, algorithm 1, as torch.optim.Adam computes it."""
    step = before.step + 1
    mean = spec.beta1 * before.flat["exp_avg"] + (1 - spec.beta1) * gradient
    square = spec.beta2 * before.flat["exp_avg_sq"] + (1 - spec.beta2) * gradient.square()
    unbiased, scale = mean / (1 - spec.beta1**step), safe_sqrt(square / (1 - spec.beta2**step))
    return unbiased / (scale + spec.eps), Moments(step, {"exp_avg": mean, "exp_avg_sq": square})


def rmsprop(spec: RmsPropSpec, gradient: Tensor, before: Moments) -> tuple[Tensor, Moments]:
    """Tieleman and Hinton 2012 (Coursera, lecture 6.5), as torch.optim.RMSprop computes it."""
    square = spec.alpha * before.flat["square_avg"] + (1 - spec.alpha) * gradient.square()
    return gradient / (safe_sqrt(square) + spec.eps), Moments(
        before.step + 1, {"square_avg": square}
    )


def sgd(spec: SgdSpec, gradient: Tensor, before: Moments) -> tuple[Tensor, Moments]:
    """Sutskever et al. 2013 (ICML), section 2, as torch.optim.SGD computes it."""
    if not spec.momentum:
        return gradient, Moments(before.step + 1, {})
    velocity = spec.momentum * before.flat["momentum_buffer"] + gradient
    direction = gradient + spec.momentum * velocity if spec.nesterov else velocity
    return direction, Moments(before.step + 1, {"momentum_buffer": velocity})


RULES: dict[str, Callable[[Any, Tensor, Moments], tuple[Tensor, Moments]]] = {
    "adam": adam,
    "rmsprop": rmsprop,
    "sgd": sgd,
}
"""(spec, gradient, moments) -> (direction, moments after): the weights move by -lr * direction."""
