"""Several discriminators at once, as in GMAN."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from progan.stages.networks.discriminator import Discriminator, DiscriminatorOutput
from progan.stages.networks.layers import Alpha
from progan.stages.specs.model import ModelSpec


class MultiDiscriminator(nn.Module):
    """Discriminators with independent initial weights that see the same images.

    Source: generative multi-adversarial networks (Durugkar et al. 2017, arXiv 1611.01673). The
    batch comes once per discriminator, one copy after the other (`repeat_batch`), and so do the
    logits: a term of the logits, or of their gradient by the images, is each discriminator's own.
    A frozen encoder (RepresentativeFeatures) is one for all.
    """

    def __init__(self, model: ModelSpec, resolution: int, **options: Any) -> None:
        super().__init__()
        count = model.discriminator.critics
        self.each = nn.ModuleList(Discriminator(model, resolution, **options) for _ in range(count))
        shared = self.each[0].representative
        for discriminator in self.each:
            discriminator.representative = shared

    def forward(
        self, images: Tensor, alpha: Alpha = 1.0, conditioning: Tensor | None = None
    ) -> Tensor:
        """Images (discriminators x N, C, R, R) -> logits (discriminators x N,)."""
        # See Discriminator.forward.
        return MultiDiscriminator.forward_features(self, images, alpha, conditioning).logits

    def forward_features(
        self,
        images: Tensor,
        alpha: Alpha = 1.0,
        conditioning: Tensor | None = None,
        *,
        fakes: bool = False,
    ) -> DiscriminatorOutput:
        """Every discriminator's output for its copy of the batch, concatenated."""
        copies = [None] * len(self.each) if conditioning is None else self._chunk(conditioning)
        inputs = zip(self._discriminators(), self._chunk(images), copies, strict=True)
        return concatenate([d.forward_features(x, alpha, c, fakes=fakes) for d, x, c in inputs])

    def forward_both(
        self, reals: Tensor, fakes: Tensor, alpha: Alpha, conditioning: Tensor
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput]:
        """The outputs for N reals and N fakes per discriminator (see Discriminator)."""
        chunks = map(self._chunk, (reals, fakes, conditioning))
        inputs = zip(self._discriminators(), *chunks, strict=True)
        outputs = [d.forward_both(real, fake, alpha, c) for d, real, fake, c in inputs]
        real_outputs, fake_outputs = zip(*outputs, strict=True)
        return concatenate(real_outputs), concatenate(fake_outputs)

    def _discriminators(self) -> Iterator[Discriminator]:
        for discriminator in self.each:
            assert isinstance(discriminator, Discriminator)
            yield discriminator

    def _chunk(self, batch: Tensor) -> tuple[Tensor, ...]:
        return batch.chunk(len(self.each))


def concatenate(outputs: Sequence[DiscriminatorOutput]) -> DiscriminatorOutput:
    """Outputs of several discriminators as one, along the batch."""
    logits, features, losses = zip(*outputs, strict=True)
    names = losses[0].keys()
    return DiscriminatorOutput(
        torch.cat(logits),
        torch.cat(features),
        {name: torch.cat([loss[name] for loss in losses]) for name in names},
    )


def repeat_batch(discriminators: int, *batches: Tensor) -> tuple[Tensor, ...]:
    """Batches (N, ...) once per discriminator: (discriminators x N, ...), copy after copy."""
    if discriminators == 1:
        return batches
    return tuple(torch.cat([batch] * discriminators) for batch in batches)


def reduce_discriminators(
    losses: Tensor, discriminators: int, rule: Literal["mean", "hardest"]
) -> Tensor:
    """Losses per discriminator and image, (discriminators x N,), to one per image, (N,)."""
    by_discriminator = losses.reshape(discriminators, -1)
    return by_discriminator.mean(dim=0) if rule == "mean" else by_discriminator.amax(dim=0)


def make_discriminator(
    model: ModelSpec, resolution: int, **options: Any
) -> Discriminator | MultiDiscriminator:
    """The model's discriminator, or several."""
    kind = MultiDiscriminator if model.discriminator.critics > 1 else Discriminator
    return kind(model, resolution, **options)
