"""Reals and fakes in one pass of the discriminator: the logits of two."""

from typing import Literal

import pytest
import torch

from progan.stages.networks.discriminator import Discriminator
from progan.stages.specs.model import DiscriminatorSpec, ModelSpec


@pytest.mark.parametrize("minibatch", ["stddev", "discrimination", "none"])
@torch.no_grad()
def test_reals_and_fakes_do_not_see_each_other(
    minibatch: Literal["stddev", "discrimination", "none"],
) -> None:
    torch.manual_seed(0)
    each = DiscriminatorSpec(minibatch=minibatch, attention=(8,))
    model = ModelSpec(latent=8, fmap_base=64, fmap_max=16, stddev_group=2, discriminator=each)
    discriminator = Discriminator(model, 8, fading=True).double()
    reals, fakes = torch.randn(2, 6, 3, 8, 8, dtype=torch.float64)
    both = discriminator.forward_both(reals, fakes, 0.3, torch.zeros(6, 0))
    together = tuple(verdict.logits for verdict in both)
    apart = discriminator(reals, 0.3), discriminator(fakes, 0.3)
    torch.testing.assert_close(together, apart)
