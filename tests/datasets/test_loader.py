"""Batches resume exactly at any position, on any number of ranks."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from progan.datasets.build.prepare import prepare
from progan.datasets.errors import DataError
from progan.datasets.format.manifest import load_manifest
from progan.datasets.format.reader import Level
from progan.datasets.loader import Batches
from progan.datasets.order import mirrored
from progan.datasets.reals import Reals
from progan.datasets.spec import DataSpec


def open_batches(path: Path, resolution: int = 8, **options: Any) -> Batches:
    spec = {key: options.pop(key) for key in ("mirror", "cache_gb", "threads") if key in options}
    arguments = {"seed": 5, "batch": 12, "rank": 0, "world_size": 1} | options
    return Batches(DataSpec(path=path, **spec), resolution, **arguments)


def take(count: int, path: Path, **options: Any) -> list[Reals]:
    with open_batches(path, **options) as batches:
        return list(islice(batches, count))


def images(reals: list[Reals]) -> torch.Tensor:
    return torch.cat([part.images() for part in reals])


def test_images_are_the_stored_bytes_over_127_5_minus_1(dataset: Path) -> None:
    """In single precision, to the last bit."""
    (first,) = take(1, dataset, resolution=16)
    assert first.pixels.shape == first.images().shape == (12, 3, 16, 16)
    assert first.pixels.dtype == torch.uint8 and first.labels.dtype == torch.int64
    every_byte = np.arange(256, dtype=np.uint8).reshape(2, 2, 8, 8)
    expected = every_byte / np.float32(127.5) - np.float32(1)
    expected[1] = expected[1, :, :, ::-1].copy()
    flips = torch.tensor([False, True])
    found = Reals(torch.from_numpy(every_byte), flips, torch.zeros(2), 0).images().numpy()
    assert found.dtype == np.float32 and found.tobytes() == expected.tobytes()


def test_an_epoch_shows_every_sample_once(dataset: Path) -> None:
    shown = images(take(10, dataset, batch=7, mirror=False))
    with open_batches(dataset) as batches:
        stored = batches.fixed(0, 70).images()
    assert sorted(shown.flatten(1).tolist()) == sorted(stored.flatten(1).tolist())


def test_resuming_at_a_position_continues_the_uninterrupted_run(dataset: Path) -> None:
    whole = take(9, dataset)
    with open_batches(dataset) as batches:
        list(islice(batches, 4))
        position = batches.position
    rest = take(5, dataset, position=position)
    assert position == 48
    assert torch.equal(images(rest), images(whole[4:]))
    assert [part.position for part in rest] == [part.position for part in whole[4:]]


@pytest.mark.parametrize("world_size", [2, 3])
def test_slices_of_ranks_form_the_global_batch(dataset: Path, world_size: int) -> None:
    alone = take(7, dataset)
    ranks = [take(7, dataset, rank=rank, world_size=world_size) for rank in range(world_size)]
    for step, whole in enumerate(alone):
        assert torch.equal(torch.cat([part[step].images() for part in ranks]), whole.images())
        assert torch.equal(torch.cat([part[step].labels for part in ranks]), whole.labels)


@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
def test_cache_and_threads_do_not_change_batches(
    dataset: Path, cache_gb: float, threads: int
) -> None:
    reference = take(15, dataset)
    assert torch.equal(
        images(take(15, dataset, cache_gb=cache_gb, threads=threads)), images(reference)
    )


@pytest.mark.parametrize("bytes_cached", [0, 1, 192, 3000, 70 * 192])
def test_partial_cache_does_not_change_batches(dataset: Path, bytes_cached: int) -> None:
    reference = take(15, dataset)
    assert torch.equal(images(take(15, dataset, cache_gb=bytes_cached / 1e9)), images(reference))


def test_cache_size_is_bounded(dataset: Path) -> None:
    level = Level(dataset, load_manifest(dataset), 8, cache_bytes=10 * 192 + 5)
    for _ in range(2):
        level.pictures(np.arange(70))
    assert level._cached.sum() == 10
    assert level._cache.nbytes == 10 * 192
    level.close()


def test_more_ranks_than_shards(dataset: Path) -> None:
    """70 samples in three shards, read by 30 ranks with 8 threads each."""
    whole = take(4, dataset, batch=60)
    for rank in (0, 13, 29):
        part = take(4, dataset, batch=60, rank=rank, world_size=30, threads=8, cache_gb=0)
        assert torch.equal(
            images(part), torch.cat([w.images()[2 * rank : 2 * rank + 2] for w in whole])
        )


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_alpha_channels(pictures: Path, tmp_path: Path, channels: int) -> None:
    with ThreadPoolExecutor(1) as threads:
        prepare(pictures, tmp_path / "d", 8, channels=channels, executor=threads)
    (first,) = take(1, tmp_path / "d")
    assert first.images().shape == (12, channels, 8, 8)
    assert channels == 1 or (first.images()[:, 3] == 1).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_are_pinned_if_cuda_is_available(dataset: Path) -> None:
    (first,) = take(1, dataset)
    assert first.pixels.is_pinned() and first.flips.is_pinned()


def test_mirrored_pictures_are_flipped_left_to_right(dataset: Path) -> None:
    (plain,), (flipped,) = take(1, dataset, mirror=False), take(1, dataset)
    flips = torch.from_numpy(mirrored(torch.arange(12).numpy(), seed=5, resolution=8))
    assert 0 < flips.sum() < 12
    assert torch.equal(flipped.images()[~flips], plain.images()[~flips])
    assert torch.equal(flipped.images()[flips], plain.images()[flips].flip(-1))
    assert torch.equal(flipped.pixels, plain.pixels) and not plain.flips.any()


def test_fixed_returns_samples_by_index_and_keeps_the_position(dataset: Path) -> None:
    with open_batches(dataset) as batches:
        first = batches.fixed(0, 6)
        assert batches.position == 0
        next(batches)
        assert torch.equal(batches.fixed(0, 6).images(), first.images())
        assert torch.equal(batches.fixed(2, 4).images(), first.images()[2:])
        assert len(batches.fixed(66, 10).images()) == 4


def test_labels_belong_to_their_pictures(dataset: Path) -> None:
    with open_batches(dataset) as batches:
        stored = batches.fixed(0, 70)
    (shown,) = take(1, dataset, mirror=False)
    for image, label in zip(shown.images(), shown.labels, strict=True):
        (place,) = torch.where((stored.images() == image).flatten(1).all(dim=1))[0]
        assert stored.labels[place] == label


def test_batch_that_ranks_cannot_divide_raises_value_error(dataset: Path) -> None:
    with pytest.raises(ValueError, match="make the batch a multiple of 5"):
        open_batches(dataset, world_size=5)


def test_missing_resolution_raises_data_error(dataset: Path) -> None:
    with pytest.raises(DataError, match="holds 4 to 16 pixels, not 32"):
        open_batches(dataset, resolution=32)


def test_damaged_record_is_named(dataset: Path, tmp_path: Path) -> None:
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


def test_missing_shard_is_named(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    (copy / "0008" / "000000.tar").unlink()
    with (
        open_batches(copy) as batches,
        pytest.raises(DataError, match=r"cannot read .*000000\.tar"),
    ):
        batches.fixed(0, 1)


def test_what_is_held_out_is_never_shown_at_any_resolution(dataset: Path) -> None:
    def stored(reals: list[Reals]) -> list[list[float]]:
        return sorted(images(reals).flatten(1).tolist())

    for resolution in (8, 16):
        shown = take(6, dataset, resolution=resolution, holdout=0.3, batch=49, mirror=False)
        with open_batches(dataset, resolution, holdout=0.3) as batches:
            assert (batches.num_samples, batches.num_held_out) == (49, 21)
            held_out = batches.held_out(0, 99)
            trained = batches.held_out(0, 99, trained=True)
            whole = batches.fixed(0, 99)
            assert torch.equal(batches.held_out(3, 5).pixels, held_out.pixels[3:8])
        assert all(stored([each]) == stored([trained]) for each in shown)  # an epoch each
        assert stored([held_out, trained]) == stored([whole])
        assert not held_out.flips.any()


def test_ranks_and_resumed_readers_hold_out_the_same(dataset: Path) -> None:
    whole = take(4, dataset, holdout=0.3)
    parts = [
        take(2, dataset, holdout=0.3, position=24, rank=rank, world_size=3) for rank in range(3)
    ]
    for step in range(2):
        assert torch.equal(whole[2 + step].images(), images([part[step] for part in parts]))


def test_without_a_holdout_nothing_is_held_out(dataset: Path) -> None:
    with open_batches(dataset) as batches, open_batches(dataset, holdout=0.3) as other:
        assert (batches.num_samples, batches.num_held_out) == (70, 0)
        assert batches.identity != other.identity and len(batches.identity) == 4
