"""The discriminator's logits for held-out pictures, beside those for training pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from progan.datasets.reals import Reals
from progan.stages import schedule
from progan.stages.engine.precision import autocast
from progan.stages.networks.conditioning import with_conditions
from progan.stages.objectives.passes import Batch, DiscriminatorPass, Players
from progan.stages.rng import metric_latents

if TYPE_CHECKING:
    from progan.stages.training.stage import Stage

NAMES = "holdout_logits", "train_logits", "holdout_fake_logits"
MOST = 256
"""Pictures of each kind"""


@torch.no_grad()
def holdout_logits(stage: Stage) -> dict[str, float]:
    """Mean logits of held-out reals, of as many trained ones, and of fakes; {} without a holdout.

    Pictures are not augmented, and at the present alpha. All ranks must call it: each takes some
    of the pictures, in whole groups of consecutive samples, and all get the means over all of
    them. Nothing in training depends on it.
    """
    held_out, group = stage.batches.num_held_out, stage.spec.model.grouped
    groups = min(MOST, held_out) // group
    if not groups:
        return {}
    world, size = stage.world, stage.spec.rank_micro_batch(stage.world.size)
    latents = metric_latents(stage.spec.seed, groups * group, stage.spec.model.noise)
    begin, end = (groups * rank // world.size * group for rank in (world.rank, world.rank + 1))
    own = [
        _logits(stage, start, latents[start : min(start + size, end)])
        for start in range(begin, end, size)
    ]
    found = torch.cat(own, dim=1) if own else torch.empty(len(NAMES), 0)
    gathered = world.all_gather_object(found.tolist())
    means = np.concatenate([np.array(each) for each in gathered], axis=1).mean(axis=1)
    return dict(zip(NAMES, means.tolist(), strict=True))


def _logits(stage: Stage, start: int, latents: Tensor) -> Tensor:
    """Means over the discriminators, of held-out reals, trained ones and fakes: (3, N), CPU."""
    device, spec = stage.world.device, stage.spec
    alpha = schedule.alpha(stage.images_seen, spec.growth)
    held_out, trained = (
        stage.batches.held_out(start, len(latents), trained=trained) for trained in (False, True)
    )

    def of(loaded: Reals) -> DiscriminatorPass:
        inputs = with_conditions(latents, loaded.labels, spec.model).to(device)
        batch = Batch(inputs, loaded.to(device).images())
        return DiscriminatorPass(Players(stage.generator, stage.discriminator), batch, alpha)

    def each() -> Iterator[Tensor]:
        for p in (of(held_out), of(trained)):
            yield p.discriminate(p.reals)
        yield p.discriminate(p.fakes)

    with autocast(spec.engine, device.type):
        logits = torch.stack([part.double() for part in each()])
    return logits.reshape(len(NAMES), spec.model.discriminator.critics, -1).mean(dim=1).cpu()
