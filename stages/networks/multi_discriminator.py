"""Several discriminators at once, as GMAN has them."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from progan.stages.networks.discriminator import Discriminator, DiscriminatorOutput
from progan.stages.networks.layers import Alpha
from progan.stages.specs.model import ModelSpec


class MultiDiscriminator(nn.Module):
    """Discriminators that are drawn apart and see the same pictures.

    Generative multi-adversarial networks (Durugkar et al. 2017, arXiv 1611.01673): one may tell
    fakes that another cannot. The pictures come once for each, one copy of the batch after the
    other (`repeat_batch`), and so do the logits: whatever is computed of a discriminator's logits,
    or of their gradient at its pictures, belongs to that discriminator alone.
    """

    def __init__(self, model: ModelSpec, resolution: int, **options: Any) -> None:
        super().__init__()
        number = model.discriminator.critics
        self.each = nn.ModuleList(
            Discriminator(model, resolution, **options) for _ in range(number)
        )

    def forward(
        self, images: Tensor, alpha: Alpha = 1.0, conditions: Tensor | None = None
    ) -> Tensor:
        """Images (critics x N, C, R, R) -> logits (critics x N,)."""
        return MultiDiscriminator.forward_features(
            self, images, alpha, conditions
        ).logits  # see Discriminator.forward

    def forward_features(
        self,
        images: Tensor,
        alpha: Alpha = 1.0,
        conditions: Tensor | None = None,
        *,
        fakes: bool = False,
    ) -> DiscriminatorOutput:
        """Every one's verdict on its copy of the batch (see Discriminator), in one."""
        told = [None] * len(self.each) if conditions is None else self._shares(conditions)
        pairs = zip(self._all(), self._shares(images), told, strict=True)
        return joined([critic.forward_features(x, alpha, c, fakes=fakes) for critic, x, c in pairs])

    def forward_both(
        self, reals: Tensor, fakes: Tensor, alpha: Alpha, conditions: Tensor
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """The same of reals and of fakes."""
        shares = zip(self._all(), *map(self._shares, (reals, fakes, conditions)), strict=True)
        found = [critic.forward_both(real, fake, alpha, c) for critic, real, fake, c in shares]
        of_reals, of_fakes = zip(*found, strict=True)
        return joined(of_reals), joined(of_fakes)

    def _all(self) -> Iterator[Discriminator]:
        for critic in self.each:
            assert isinstance(critic, Discriminator)
            yield critic

    def _shares(self, batch: Tensor) -> tuple[Tensor, ...]:
        return batch.chunk(len(self.each))


def joined(verdicts: Sequence[DiscriminatorOutput]) -> DiscriminatorOutput:
    """Several verdicts as one, one after the other."""
    logits, features, costs = zip(*verdicts, strict=True)
    names = costs[0].keys()
    return DiscriminatorOutput(
        torch.cat(logits),
        torch.cat(features),
        {name: torch.cat([cost[name] for cost in costs]) for name in names},
    )


def repeat_batch(critics: int, *batches: Tensor) -> tuple[Tensor, ...]:
    """Batches (N, ...) once for every critic, one copy after the other: (critics x N, ...)."""
    if critics == 1:
        return batches
    return tuple(torch.cat([batch] * critics) for batch in batches)


def reduce_discriminators(costs: Tensor, critics: int, rule: Literal["mean", "hardest"]) -> Tensor:
    """Costs for every critic (critics x N,) as one a picture: (N,)."""
    by_critic = costs.reshape(critics, -1)
    return by_critic.mean(dim=0) if rule == "mean" else by_critic.amax(dim=0)


def make_discriminator(
    model: ModelSpec, resolution: int, **options: Any
) -> Discriminator | MultiDiscriminator:
    """The discriminator that a configuration asks for, or several."""
    kind = MultiDiscriminator if model.discriminator.critics > 1 else Discriminator
    return kind(model, resolution, **options)
