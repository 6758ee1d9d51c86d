"""Consensus optimisation: both networks make the field of both gradients small (Mescheder 2017)."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from progan.stages.networks.layers import at_least_float32
from progan.stages.objectives.adversarial import loss as adversarial
from progan.stages.specs.losses import AnyLoss
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.penalties import NetworkName

Networks = Mapping[NetworkName, nn.Module]


def field(
    networks: Networks,
    reals: Tensor,
    latents: Tensor,
    alpha: float,
    loss: AnyLoss,
    pieces: Mapping[str, Tensor],
    of: NetworkName | None,
) -> list[Tensor]:
    """v = (gradient of the generator's loss, gradient of the discriminator's), each by its weights.

    The losses are the adversarial ones of one part of a batch, averaged. v can be differentiated by
    the weights of the network `of`. The other's are copies that share their values: what is
    accumulated into these is nobody's, and no engine's hook sees it.
    """
    weights: dict[NetworkName, dict[str, Tensor]] = {
        name: {
            key: value if name == of else value.detach().requires_grad_()
            for key, value in network.named_parameters()
        }
        for name, network in networks.items()
    }

    model = cast(ModelSpec, networks["generator"].model)
    conditions = latents[:, model.latent :]

    def logits_of(images: Tensor) -> Tensor:
        network, values = networks["discriminator"], weights["discriminator"]
        return at_least_float32(functional_call(network, values, (images, alpha, conditions)))

    fakes = functional_call(networks["generator"], weights["generator"], (latents, alpha))
    real_logits, fake_logits = logits_of(reals), logits_of(fakes)
    chosen = adversarial(loss, pieces)
    sides: dict[NetworkName, Tensor] = {
        "generator": chosen.generator(real_logits, fake_logits).mean(),
        "discriminator": chosen.discriminator(real_logits, fake_logits).mean(),
    }
    return [
        gradient
        for name, side in sides.items()
        for gradient in torch.autograd.grad(
            side,
            list(weights[name].values()),
            create_graph=of is not None,
            retain_graph=True,
            materialize_grads=True,
        )
    ]


def half_square(own: Sequence[Tensor], mean: Sequence[Tensor]) -> Tensor:
    """A term whose mean over parts and ranks is |v|^2 / 2, in value and in slope, ().

    own: v of one part, which can be differentiated; mean: v of the whole batch, a constant. The
    slope of |v|^2 / 2 is <v, slope of v>, and v's slope is the mean of its parts'. The weight is
    the paper's gamma. Source: Mescheder et al. 2017 (arXiv 1705.10461), section 4.
    """
    products = [(whole * part).sum() for part, whole in zip(own, mean, strict=True)]
    squares = [whole.square().sum() for whole in mean]
    return torch.stack(products).sum() - torch.stack(squares).sum() / 2
