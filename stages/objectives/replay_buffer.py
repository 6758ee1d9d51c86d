"""Past fakes among the discriminator's, so that it does not forget what it has seen through.

Source: Shrivastava et al. 2017 (arXiv 1612.07828), section 2.3, whose discriminator sees a batch
that is half fresh and half from a buffer in which fresh fakes take the place of random ones; for
GANs from noise: Pfau and Vinyals 2016 (arXiv 1610.01945), section 4.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from progan.stages.distributed.world import World
from progan.stages.rng import Purpose, RngStreams, keyed
from progan.stages.specs.stage import StageSpec


class Replay:
    """This rank's past fakes: `depth` for every place in its share of the batch.

    Since each place in the global batch has its own, the ranks need nothing of each other's, and
    what is shown depends on no world size. Places are taken by groups of consecutive samples, so
    that a group whose variety the discriminator measures comes from one generator as a whole. What
    is kept is float32, exactly what was shown: rounded to 8 bits, past fakes would be told from
    fresh ones by their rounding, which reals have too.
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
        """What one update of the discriminator shows again and where it keeps its fresh fakes.

        position: in the stream of images; updates: how many were kept before this one. For every
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
        """What to show as fakes; the fresh ones are kept. (N, C, H, W) in and out, rows: (N, 3)."""
        place, shown, kept = rows.unbind(1)
        past = self.images[shown.clamp(min=0), place].to(fakes.dtype)
        again = (shown >= 0).reshape(-1, *[1] * (fakes.dim() - 1))
        self.images[kept, place] = fakes.detach().float()
        return torch.where(again, past, fakes)

    def state(self, world: World) -> dict[str, Tensor]:
        """All ranks' past fakes, for a checkpoint: (depth, batch, C, H, W). All must call it.

        They go over the network layer by layer, so that no device has to hold them all.
        """
        return {"images": torch.stack([world.all_gather_cat(layer) for layer in self.images])}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave, here on this number of ranks."""
        places = self.images.shape[1]
        begin = self.rng.rank * places
        self.images.copy_(state["images"][:, begin : begin + places])


def make_replay(spec: StageSpec, rng: RngStreams, device: torch.device) -> Replay | None:
    """Where a stage keeps past fakes, empty; None if it keeps none."""
    if not (wanted := spec.objective.replay):
        return None
    shape = spec.model.channels, spec.resolution, spec.resolution
    depth, group = wanted.depth(spec.batch), spec.model.compared
    return Replay(wanted.share, depth, shape, rng, group, device)
