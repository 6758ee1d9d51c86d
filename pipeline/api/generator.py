"""Pictures from a trained generator, in Python."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from progan.datasets.format.codec import to_image
from progan.pipeline.errors import ConfigError
from progan.pipeline.run_folder import existing_run, frozen_config, is_run
from progan.pipeline.sampling.generate import (
    chosen_inputs,
    class_labels,
    draw_batches,
    load_networks,
)
from progan.pipeline.sampling.hub import model_folder
from progan.pipeline.sampling.newest import networks_in, newest_networks
from progan.stages.images import to_uint8
from progan.stages.storage.pretrained import Published

Classes = str | int | Sequence[str | int]
"""One class for all pictures or one for each, by name or label."""


def load_generator(source: str | Path, *, stage: int | None = None) -> "PictureGenerator":
    """The averaged generator of a run, an export or a repository on the Hugging Face Hub.

    source: a run's folder (its newest networks, or those of `stage`, a resolution; of a stage that
    still trains, those of its newest checkpoint), a stage's `final` folder, an export that holds
    weights (`--format safetensors` or `huggingface`), the OUT of `progan import`, or
    hf://USER/NAME. Code that lies beside the weights is not executed.

    Raises ConfigError for a `stage` that the run lacks, RunError if there is no checkpoint yet,
    NetworksError if the folder holds no generator or is damaged.

    >>> generator = load_generator("runs/shapes")
    >>> generator.resolution, generator.classes
    (8, ())
    """
    return PictureGenerator(_networks(source, stage))


class PictureGenerator:
    """Draws pictures; the same as `progan generate` with the same seed.

    It uses a GPU if there is one. `model` is the torch module: inputs (N, inputs), see
    `inputs`, to float32 pictures (N, C, R, R), -1 black to 1 white, not clipped.
    """

    def __init__(self, networks: Published) -> None:
        """NetworksError if the weights do not fit their description."""
        self.model = load_networks(networks, "ema")
        self.images_seen = networks.images_seen
        """Training images at its resolution; 0 if that is not known"""
        self._networks = networks

    @property
    def resolution(self) -> int:
        """Side of the pictures, in pixels."""
        return self._networks.resolution

    @property
    def channels(self) -> int:
        """1 (grey), 3 (RGB) or 4 (RGB and alpha)."""
        return self._networks.model.channels

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by label; none for an unconditional generator."""
        return self._networks.classes

    def draw(
        self,
        n: int = 1,
        *,
        seed: int = 0,
        classes: Classes | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Pictures as uint8 (n, C, R, R) on the CPU.

        A larger `n` adds to the pictures of a smaller one with the same seed. classes: of all
        pictures, or a sequence of n; without, classes take turns. truncation: bound of the latents'
        normal distribution; small values give more typical and less varied pictures.

        Raises ConfigError for arguments that do not fit the generator.

        >>> load_generator("runs/shapes").draw(4, seed=7).shape
        torch.Size([4, 3, 8, 8])
        """
        inputs = self.inputs(n, seed=seed, classes=classes, truncation=truncation)
        return torch.cat([to_uint8(batch) for batch in draw_batches(self.model, inputs)])

    def images(
        self,
        n: int = 1,
        *,
        seed: int = 0,
        classes: Classes | None = None,
        truncation: float | None = None,
    ) -> list[Image.Image]:
        """The pictures of `draw`, as Pillow images of mode L, RGB or RGBA.

        >>> load_generator("runs/shapes").images(2)[1].size
        (8, 8)
        """
        pictures = self.draw(n, seed=seed, classes=classes, truncation=truncation)
        return [to_image(picture.permute(1, 2, 0).numpy()) for picture in pictures]

    def inputs(
        self,
        n: int = 1,
        *,
        seed: int = 0,
        classes: Classes | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """The latents, with classes and codes, that `draw` draws from: float32 (n, inputs)."""
        if n < 1 or seed < 0:
            raise ConfigError(f"n={n}, seed={seed}: n is 1 or more, seed 0 or more")
        if truncation is not None and truncation <= 0:
            raise ConfigError(f"truncation={truncation}: it is above 0")
        labels = class_labels(range(n), self._networks, classes, "classes")
        return chosen_inputs(self._networks.model, labels, seed=seed, truncation=truncation)

    def __repr__(self) -> str:
        size = f"{self.resolution}x{self.resolution}"
        return f"{type(self).__name__}({size}, {self.images_seen:,} images seen)"


def _networks(source: str | Path, stage: int | None) -> Published:
    folder = model_folder(source)
    if stage is None:
        return networks_in(folder)
    if not is_run(folder):
        raise ConfigError(f"stage={stage}: {source} is no run, and has one generator only")
    run = existing_run(folder)
    return newest_networks(run, frozen_config(run).resolutions, stage)
