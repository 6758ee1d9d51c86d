"""Replay buffer: past fakes among the discriminator's, so that it does not forget them.

Source: Shrivastava et al. 2017 (arXiv 1612.07828), section 2.3: half of the discriminator's batch
is fresh, half comes from a buffer in which fresh fakes replace random ones; for GANs from noise:
Pfau and Vinyals 2016 (arXiv 1610.01945), section 4.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from progan.stages.distributed.world import World
from progan.stages.rng import Purpose, RngStreams, keyed
from progan.stages.specs.stage import StageSpec


class Replay:
    """This rank's past fakes: `depth` for every place in its slice of the batch.

    Each place in the global batch has its own, so ranks exchange nothing and the world size does
    not matter. Whole groups of consecutive samples are replaced, so that a group whose standard
    deviation the discriminator measures comes from one generator. Fakes are kept in float32,
    exactly as shown: rounded to 8 bits, like reals, past fakes could be recognised by it.
    """

    def __init__(
        self,
        share: float,
        depth: int,
        shape: Sequence[int],
        rng: RngStreams,
        group: int,
        device: torch.device,
    ) -> None:
        self.share = share
        self.rng = rng
        self.group = group
        places = rng.batch // rng.world_size
        self.images = torch.zeros(depth, places, *shape, device=device)
        """(depth, places, C, H, W)"""

    def draw(self, position: int, updates: int) -> Tensor:
        """Which past fakes one discriminator update shows, and where it keeps its fresh ones.

        position: in the stream of images; updates: how many batches were kept before. For every
        place of this rank a row (place, layer to show or -1, layer to keep in): (places, 3).
        """
        depth, places = self.images.shape[:2]
        held = min(updates, depth)
        random = keyed(self.rng.seed, self.rng.resolution, Purpose.REPLAY, position)
        groups = self.rng.batch // self.group
        again = random.random(groups) < self.share
        shown = random.integers(max(held, 1), size=groups)
        kept = random.integers(depth, size=groups)
        if held < depth:
            kept[:] = held
        shown[~again | (held == 0)] = -1
        rows = np.column_stack([shown, kept]).repeat(self.group, axis=0)
        own = rows[self.rng.rank * places : (self.rng.rank + 1) * places]
        return torch.from_numpy(np.column_stack([np.arange(places), own]))

    def mingle(self, fakes: Tensor, rows: Tensor) -> Tensor:
        """Fresh fakes, some replaced by past ones; the fresh ones are kept.

        (N, C, H, W) in and out; rows: (N, 3), from `draw`.
        """
        place, shown, kept = rows.unbind(1)
        past = self.images[shown.clamp(min=0), place].to(fakes.dtype)
        again = (shown >= 0).reshape(-1, *[1] * (fakes.dim() - 1))
        self.images[kept, place] = fakes.detach().float()
        return torch.where(again, past, fakes)

    def state(self, world: World) -> dict[str, Tensor]:
        """All ranks' past fakes, for a checkpoint: (depth, batch, C, H, W). All ranks must call it.

        Gathered layer by layer, so that no device has to hold them all.
        """
        return {"images": torch.stack([world.all_gather_cat(layer) for layer in self.images])}

    def load(self, state: dict[str, Tensor]) -> None:
        """Restore what `state` gave, on any number of ranks."""
        places = self.images.shape[1]
        begin = self.rng.rank * places
        self.images.copy_(state["images"][:, begin : begin + places])


def make_replay(spec: StageSpec, rng: RngStreams, device: torch.device) -> Replay | None:
    """An empty buffer; None if the configuration has none."""
    if not (wanted := spec.objective.replay):
        return None
    shape = spec.model.channels, spec.resolution, spec.resolution
    depth, group = wanted.depth(spec.batch), spec.model.compared
    return Replay(wanted.share, depth, shape, rng, group, device)
