"""Batches go on exactly where they stopped, on any number of ranks."""

import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from progan.datasets.errors import DataError
from progan.datasets.loader import Batches, Reals
from progan.datasets.order import mirrored
from progan.datasets.spec import DataSpec


def open_batches(path: Path, resolution: int = 8, **options: Any) -> Batches:
    spec = {key: options.pop(key) for key in ("mirror", "cache_gb", "threads") if key in options}
    arguments = {"seed": 5, "batch": 12, "rank": 0, "world_size": 1} | options
    return Batches(DataSpec(path=path, **spec), resolution, **arguments)


def take(count: int, path: Path, **options: Any) -> list[Reals]:
    with open_batches(path, **options) as batches:
        return list(islice(batches, count))


def images(reals: list[Reals]) -> torch.Tensor:
    return torch.cat([part.images for part in reals])


def test_images_are_floats_from_minus_one_to_one(dataset: Path) -> None:
    (first,) = take(1, dataset, resolution=16)
    assert first.images.shape == (12, 3, 16, 16)
    assert first.images.dtype == torch.float32
    assert first.images.min() >= -1 and first.images.max() <= 1
    assert first.labels.dtype == torch.int64
    pixels = (first.images + 1) * 127.5
    assert torch.allclose(pixels, pixels.round(), atol=1e-4)


def test_an_epoch_shows_every_sample_once(dataset: Path) -> None:
    shown = images(take(10, dataset, batch=7, mirror=False))
    with open_batches(dataset) as batches:
        stored = batches.fixed(0, 70).images
    assert sorted(shown.flatten(1).tolist()) == sorted(stored.flatten(1).tolist())


def test_any_position_goes_on_as_the_uninterrupted_run(dataset: Path) -> None:
    whole = take(9, dataset)
    with open_batches(dataset) as batches:
        list(islice(batches, 4))
        position = batches.position
    rest = take(5, dataset, position=position)
    assert position == 48
    assert torch.equal(images(rest), images(whole[4:]))
    assert [part.position for part in rest] == [part.position for part in whole[4:]]


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_together_see_what_one_rank_sees(dataset: Path, world_size: int) -> None:
    alone = take(7, dataset)
    ranks = [take(7, dataset, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step, whole in enumerate(alone):
        assert torch.equal(torch.cat([part[step].images for part in ranks]), whole.images)
        assert torch.equal(torch.cat([part[step].labels for part in ranks]), whole.labels)


@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
def test_neither_memory_nor_threads_show(dataset: Path, cache_gb: float, threads: int) -> None:
    reference = take(15, dataset)
    assert torch.equal(
        images(take(15, dataset, cache_gb=cache_gb, threads=threads)), images(reference)
    )


def test_some_pictures_are_mirrored(dataset: Path) -> None:
    (plain,), (flipped,) = take(1, dataset, mirror=False), take(1, dataset)
    flips = torch.from_numpy(mirrored(torch.arange(12).numpy(), seed=5, resolution=8))
    assert 0 < flips.sum() < 12
    assert torch.equal(flipped.images[~flips], plain.images[~flips])
    assert torch.equal(flipped.images[flips], plain.images[flips].flip(-1))


def test_fixed_reals_are_the_first_samples_and_move_nothing(dataset: Path) -> None:
    with open_batches(dataset) as batches:
        first = batches.fixed(0, 6)
        assert batches.position == 0
        next(batches)
        assert torch.equal(batches.fixed(0, 6).images, first.images)
        assert torch.equal(batches.fixed(2, 4).images, first.images[2:])
        assert len(batches.fixed(66, 10).images) == 4


def test_labels_belong_to_their_pictures(dataset: Path) -> None:
    with open_batches(dataset) as batches:
        stored = batches.fixed(0, 70)
    (shown,) = take(1, dataset, mirror=False)
    for image, label in zip(shown.images, shown.labels, strict=True):
        (place,) = torch.where((stored.images == image).flatten(1).all(dim=1))[0]
        assert stored.labels[place] == label


def test_an_unequal_share_is_refused(dataset: Path) -> None:
    with pytest.raises(ValueError, match="make the batch a multiple of 5"):
        open_batches(dataset, world_size=5)


def test_a_resolution_that_is_not_there(dataset: Path) -> None:
    with pytest.raises(DataError, match="holds 4 to 16 pixels, not 32"):
        open_batches(dataset, resolution=32)


def test_a_damaged_record_is_named(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    tar = copy / "0008" / "000000.tar"
    content = bytearray(tar.read_bytes())
    content[530] ^= 1
    tar.write_bytes(content)
    with (
        open_batches(copy) as batches,
        pytest.raises(DataError, match=r"record 0 of .*0008/000000"),
    ):
        batches.fixed(0, 70)


def test_a_missing_shard_is_named(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    (copy / "0008" / "000000.tar").unlink()
    with (
        open_batches(copy) as batches,
        pytest.raises(DataError, match=r"cannot read .*000000\.tar"),
    ):
        batches.fixed(0, 1)
