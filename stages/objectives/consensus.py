"""Small gradients by the weights: consensus optimisation (Mescheder 2017), and for the generator
alone the discriminator's gradient (Nagarajan and Kolter 2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.func import functional_call

from progan.stages.networks.layers import at_least_float32
from progan.stages.objectives.adversarial import Loss
from progan.stages.objectives.adversarial_term import Adversarial
from progan.stages.objectives.passes import DiscriminatorPass, GeneratorPass, Pass, Side
from progan.stages.objectives.term import Penalty

if TYPE_CHECKING:
    from progan.stages.distributed.world import World
    from progan.stages.engine.engine import Engine


class Consensus(Penalty):
    """|v|^2 / 2 of the joint gradient v; the weight is the paper's gamma.

    Source: Mescheder et al. 2017 (arXiv 1705.10461), section 4.
    """

    gradients_of: tuple[Side, ...] = ("generator", "discriminator")
    """The losses and weights that v is made of"""

    def __init__(self, spec: Any, adversarial: Adversarial) -> None:
        super().__init__(spec)
        self.loss = adversarial.loss
        self.mean: list[Tensor] = []
        """v over the whole batch of all ranks"""

    def prepare(self, side: Side, passes: Callable[[], Iterable[Pass]], world: World) -> None:
        """Average v over the micro-batches of all ranks."""
        if side not in self.spec.networks:
            return
        flat, count = torch.zeros((), device=world.device), 0
        for p in passes():
            gradients = joint_gradient(p, self.loss, None, self.gradients_of)
            flat, count = flat + torch.cat([each.flatten() for each in gradients]), count + 1
            networks = [p.players.networks[each] for each in self.gradients_of]
        flat = world.all_reduce_mean(flat / count)
        weights = [weight for network in networks for weight in network.parameters()]
        parts = torch.split(flat, [weight.numel() for weight in weights])
        self.mean = [part.reshape(w.shape) for part, w in zip(parts, weights, strict=True)]

    def after_update(self, side: Side, engine: Engine) -> None:
        """Free v: it is as large as the networks."""
        self.mean = []

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """()."""
        return self._half_squared_norm(p, "discriminator")

    def of_generator(self, p: GeneratorPass) -> Tensor:
        """()."""
        return self._half_squared_norm(p, "generator")

    def _half_squared_norm(self, p: Pass, of: Side) -> Tensor:
        return half_squared_norm(joint_gradient(p, self.loss, of, self.gradients_of), self.mean)


class GradientNorm(Consensus):
    """|v|^2 of the gradient v of the discriminator's loss by its weights, for the generator.

    So the generator looks one step ahead: to first order, |v|^2 is what the discriminator's next
    step gains. The weight is the paper's eta, the loss the adversarial one, its V with the other
    sign. Source: Nagarajan and Kolter 2017 (arXiv 1706.04156), section 4.
    """

    gradients_of = ("discriminator",)

    def of_generator(self, p: GeneratorPass) -> Tensor:
        """()."""
        return 2 * self._half_squared_norm(p, "generator")


def joint_gradient(
    p: Pass, loss: Loss, of: Side | None, gradients_of: Sequence[Side]
) -> list[Tensor]:
    """v: the gradients of these networks' losses, each by the weights of its network.

    The losses are the adversarial ones, averaged over one micro-batch. v can be differentiated by
    the weights of the network `of`. The other's are copies that share their values, so that what is
    accumulated into them reaches no engine's hook.
    """
    networks = p.players.networks
    weights: dict[Side, dict[str, Tensor]] = {
        side: {
            key: value if side == of else value.detach().requires_grad_(side in gradients_of)
            for key, value in network.named_parameters()
        }
        for side, network in networks.items()
    }

    def call(side: Side, *inputs: Any) -> Tensor:
        output: Tensor = functional_call(networks[side], weights[side], inputs)
        return output

    fakes = call("generator", p.batch.latents, p.alpha)
    real_logits, fake_logits = (
        at_least_float32(call("discriminator", images, p.alpha, p.conditioning))
        for images in (p.as_real(p.faded_reals), p.as_fake(fakes))
    )
    losses: dict[Side, Callable[[Tensor, Tensor], Tensor]] = {
        "generator": loss.generator,
        "discriminator": loss.discriminator,
    }
    return [
        gradient
        for side in gradients_of
        for gradient in torch.autograd.grad(
            losses[side](real_logits, fake_logits).mean(),
            list(weights[side].values()),
            create_graph=of is not None,
            retain_graph=True,
            materialize_grads=True,
        )
    ]


def half_squared_norm(own: Sequence[Tensor], mean: Sequence[Tensor]) -> Tensor:
    """A term whose mean over micro-batches and ranks is |v|^2 / 2, in value and in gradient, ().

    own: v of one micro-batch, which can be differentiated; mean: v of the whole batch, a constant.
    The gradient of |v|^2 / 2 is <v, gradient of v>, and v's is the mean of its micro-batches'.
    """
    products = [(whole * part).sum() for part, whole in zip(own, mean, strict=True)]
    squares = [whole.square().sum() for whole in mean]
    return torch.stack(products).sum() - torch.stack(squares).sum() / 2
