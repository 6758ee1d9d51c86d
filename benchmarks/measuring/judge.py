"""Judges generated pictures against a data set's: FID by a small classifier, and SWD.

The classifier is trained on the data set itself, from a fixed seed: a few minutes of one thread.
FID by its features is not the published FID, but ranks generators of one data set.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from progan.datasets.format.manifest import load_manifest
from progan.datasets.loader import Batches
from progan.datasets.spec import DataSpec
from progan.stages.distributed.world import World
from progan.stages.images import grid
from progan.stages.metrics.feature_metrics import fid
from progan.stages.metrics.inception import Features
from progan.stages.metrics.safe_collectives import SafeCollectives
from progan.stages.metrics.swd import SlicedWasserstein
from progan.stages.storage.tensors import read_tensors, write_tensors

SEED = 0
BATCH = 100
EPOCHS = 8
RATE = 0.003
TESTED = 0.1
"""Share of the pictures that the classifier is tested on, not trained on"""
GRID = 10
"""Pictures a row of a grid, and rows"""
SWD_IMAGES = 1024
"""Pictures compared by SWD, which takes longer than everything else"""
QUARTERS = 4
"""Classes without labels: by how many quarters a picture is turned (Gidaris et al. 2018)"""


class Classifier(nn.Module):
    """Six convolutions, down to 4x4 maps whose mean are the features."""

    WIDTHS = (32, 64, 128, 128)

    def __init__(self, resolution: int, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in self.WIDTHS:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False),
                       nn.BatchNorm2d(width), nn.ReLU()]  # fmt: skip
            if resolution > 4:
                layers.append(nn.MaxPool2d(2))
                resolution //= 2
            channels = width
        self.maps = nn.Sequential(*layers)
        self.last = nn.Linear(channels, classes)

    def features(self, images: Tensor) -> Tensor:
        """(N, C, R, R) in [-1, 1] -> (N, 128)."""
        maps: Tensor = self.maps(images)
        return maps.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (N, classes)."""
        logits: Tensor = self.last(self.features(images))
        return logits


class Judge:
    """A trained classifier, and the reals that fakes are compared with."""

    def __init__(self, data: Path, resolution: int, images: int, world: World) -> None:
        """`images` are compared; the classifier is kept in the data set's folder."""
        self.data, self.resolution, self.world = data, resolution, world
        self.pictures, labels = read_all(data, resolution)
        self.images = min(images, len(self.pictures) // 2)
        labelled = bool(load_manifest(str(data)).classes)
        self.task = "classes" if labelled else "quarter turns"
        classes = int(labels.max()) + 1 if labelled else QUARTERS
        self.classifier = Classifier(resolution, self.pictures.shape[1], classes)
        kept = data.with_name(f"{data.name}-judge-{resolution}.safetensors")
        tested = round(TESTED * len(self.pictures))
        if kept.exists():
            self.classifier.load_state_dict(read_tensors(kept))
        else:
            fit(self.classifier, self.pictures[tested:], labels[tested:] if labelled else None)
            write_tensors(kept, self.classifier.state_dict())
        self.classifier.eval()
        self.accuracy = accuracy(
            self.classifier, self.pictures[:tested], labels[:tested] if labelled else None
        )

    @property
    def reals(self) -> Tensor:
        """What fakes are compared with, uint8 (images, C, R, R)."""
        return self.pictures[: self.images]

    @property
    def other_reals(self) -> Tensor:
        """As many other reals: their scores are the floor."""
        return self.pictures[-self.images :]

    def scores(self, pictures: Tensor) -> dict[str, float]:
        """FID, and SWD x 1000 by level, of `images` pictures: uint8 (images, C, R, R)."""
        found = {"fid": self.fid(pictures)}
        if self.resolution >= 16:
            number = min(SWD_IMAGES, self.images)
            ranks = SafeCollectives(self.world)
            swd = SlicedWasserstein(self.resolution, pictures.shape[1], number, ranks)
            swd.add(pictures[:number], self.reals[:number], 0)
            found |= swd.values(lambda: None)
            ranks.raise_failures()
        return found

    def fid(self, pictures: Tensor) -> float:
        """FID of `images` pictures: uint8 (images, C, R, R)."""
        ranks = SafeCollectives(self.world)
        features = Features(self._features(pictures), torch.empty(0))
        found = fid(features, self._features_of_reals, self.images, ranks)
        ranks.raise_failures()
        return float(found["fid"])

    @cached_property
    def _features_of_reals(self) -> Tensor:
        return self._features(self.reals)

    @torch.no_grad()
    def _features(self, pictures: Tensor) -> Tensor:
        return torch.cat(
            [self.classifier.features(scaled(x)) for x in torch.split(pictures, BATCH)]
        )


def read_all(data: Path, resolution: int) -> tuple[Tensor, Tensor]:
    """All pictures, in an order drawn from a fixed seed, and their labels: uint8 (N, C, R, R)."""
    spec = DataSpec(path=str(data), mirror=False)
    pixels, labels = [], []
    with Batches(spec, resolution, seed=SEED, batch=BATCH, rank=0, world_size=1) as batches:
        positions = np.arange(batches.num_samples, dtype=np.int64)
        parts = np.split(positions, range(BATCH, len(positions), BATCH))
        for reals in batches.at(parts):
            pixels.append(reals.pixels)
            labels.append(reals.labels)
    return torch.cat(pixels), torch.cat(labels)


def write_grid(path: Path, pictures: Tensor) -> None:
    """The first of pictures side by side: uint8 (N, C, R, R)."""
    grid(scaled(pictures[: GRID * GRID]), GRID).save(path)


def scaled(pictures: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def fit(classifier: Classifier, pictures: Tensor, labels: Tensor | None) -> None:
    """Adam with a cosine schedule, mirrored and shifted pictures."""
    torch.manual_seed(SEED)
    adam = torch.optim.Adam(classifier.parameters(), lr=RATE)
    steps = EPOCHS * (len(pictures) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(pictures)), BATCH)[: len(pictures) // BATCH]:
            images, wanted = task(pictures[rows], None if labels is None else labels[rows])
            F.cross_entropy(classifier(shifted(images)), wanted).backward()  # type: ignore[no-untyped-call]
            adam.step()
            adam.zero_grad()
            schedule.step()


def task(pictures: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Images and what is to be recognised: their class, or by how many quarters they are turned."""
    images = scaled(pictures)
    if labels is not None:
        return images, labels
    turns = torch.arange(len(images)) % QUARTERS
    turned = [x.rot90(int(k), (1, 2)) for x, k in zip(images, turns, strict=True)]
    return torch.stack(turned), turns


def shifted(images: Tensor) -> Tensor:
    """By up to an eighth of their size, half of them mirrored."""
    size = images.shape[-1]
    most = size // 8
    padded = F.pad(images, (most,) * 4, mode="reflect")
    top, left = (int(x) for x in torch.randint(0, 2 * most + 1, (2,)))
    cut = padded[:, :, top : top + size, left : left + size]
    mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(mirrored, cut.flip(-1), cut)


@torch.no_grad()
def accuracy(classifier: Classifier, pictures: Tensor, labels: Tensor | None) -> float:
    """Share of the pictures that are recognised."""
    right = 0
    for rows in torch.split(torch.arange(len(pictures)), BATCH):
        images, wanted = task(pictures[rows], None if labels is None else labels[rows])
        right += int((classifier(images).argmax(1) == wanted).sum())
    return right / len(pictures)
