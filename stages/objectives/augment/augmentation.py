"""What a stage's discriminator sees of pictures: an augmentation, by its configuration."""

from typing import Protocol

import torch
from torch import Tensor

from progan.stages.networks.layers import at_least_float32
from progan.stages.objectives.augment import blits, color, geometry
from progan.stages.objectives.augment.diffaugment import DiffAugment
from progan.stages.specs.augment import AdaSpec, AnyAugment


class Transform(Protocol):
    """Random transformations of a batch, differentiable with respect to its pictures."""

    draws: int
    """Random numbers for each picture"""

    def transform(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Pictures (N, C, H, H), float32 or float64; numbers: (N, draws) in (0, 1)."""
        ...


class Ada:
    """The pipe of adaptive augmentation, with its p. Source: Karras et al. 2020, appendix B."""

    draws = blits.DRAWS + geometry.DRAWS + color.DRAWS

    def __init__(self, spec: AdaSpec, device: torch.device) -> None:
        self.pipe = spec.pipe
        self.p = torch.zeros((), dtype=torch.float64, device=device)
        """Probability of each transformation; it changes in place (adaptation.py)"""

    def transform(self, images: Tensor, numbers: Tensor) -> Tensor:
        """See Transform. A transformation's numbers are its own, whatever else is in the pipe."""
        columns = [blits.DRAWS, geometry.DRAWS, color.DRAWS]
        of_blits, of_geometry, of_color = torch.split(numbers, columns, dim=1)
        p = self.p.to(numbers.dtype)
        if "b" in self.pipe:
            images = blits.blit(images, of_blits, p)
        if "g" in self.pipe:
            images = geometry.warp(images, of_geometry, p)
        if "c" in self.pipe:
            images = color.recolor(images, of_color, p)
        return images


class Augmentation:
    """Augments reals and fakes by the same law, in float32 whatever the stage's precision."""

    def __init__(self, transform: Transform) -> None:
        self._transform = transform

    @property
    def draws(self) -> int:
        """Random numbers for each picture."""
        return self._transform.draws

    def __call__(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Pictures (N, C, H, H) in [-1, 1] as the discriminator sees them; numbers: (N, draws)."""
        with torch.autocast(images.device.type, enabled=False):
            return self._transform.transform(at_least_float32(images), numbers)

    @property
    def ada(self) -> Ada | None:
        """The adaptive one, if it is."""
        return self._transform if isinstance(self._transform, Ada) else None

    @property
    def p(self) -> float | None:
        """ADA's p, for which the host waits."""
        return float(self.ada.p) if self.ada else None

    def begin_with(self, p: float) -> None:
        """Set ADA's p to what the previous resolution ended with."""
        if self.ada:
            self.ada.p.fill_(p)


def make_augmentation(spec: AnyAugment | None, device: torch.device) -> Augmentation | None:
    """The augmentation that a configuration asks for; ADA's p is 0."""
    if spec is None:
        return None
    return Augmentation(Ada(spec, device) if isinstance(spec, AdaSpec) else DiffAugment(spec))
