"""The grids of pictures in a stage's `samples` folder: reals once, fakes every few ticks."""

import torch

from progan.datasets.files import write_whole
from progan.datasets.loader import Batches
from progan.stages import schedule
from progan.stages.distributed.world import World
from progan.stages.images import grid, png
from progan.stages.networks.conditioning import cycling_labels, with_conditions
from progan.stages.networks.generator import Generator
from progan.stages.rng import grid_latents
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.stage_folder import StageFolder

LARGEST_BATCH = 16


class SampleGrids:
    """Draws the grids; the latents are the same at every stage."""

    def __init__(self, folder: StageFolder, spec: StageSpec, world: World) -> None:
        self._folder = folder
        self._spec = spec
        self._device = world.device
        # A batch that fits in memory in training fits here.
        self._batch = min(LARGEST_BATCH, spec.rank_micro_batch(world.size))

    def write_reals(self, batches: Batches) -> None:
        """The data set's first pictures, unless an earlier attempt wrote them."""
        self._folder.samples.mkdir(parents=True, exist_ok=True)
        if not self._folder.reals.exists():
            side = self._spec.tick.grid
            reals = batches.fixed(0, side * side).images()
            write_whole(self._folder.reals, png(grid(reals, side)))

    def due(self, images_seen: int) -> bool:
        """Whether the tick that ends here gets a grid; the stage's last one always does."""
        tick = self._spec.tick
        done = schedule.phase(images_seen, self._spec.growth) == "done"
        return done or images_seen // tick.images % tick.samples_every == 0

    @torch.no_grad()
    def write_fakes(self, ema: Generator, images_seen: int) -> None:
        """Fakes of the moving average at the present alpha; classes take turns."""
        side, model = self._spec.tick.grid, self._spec.model
        alpha = schedule.alpha(images_seen, self._spec.growth)
        latents = grid_latents(self._spec.seed, side * side, model.noise)
        latents = with_conditions(latents, cycling_labels(len(latents), model.classes), model)
        fakes = [
            ema(batch.to(self._device), alpha).cpu() for batch in torch.split(latents, self._batch)
        ]
        write_whole(self._folder.fakes(images_seen), png(grid(torch.cat(fakes), side)))
