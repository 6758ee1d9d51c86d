"""Measuring a generator: which pictures are compared, and what happens on failures."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from measured import alone
from progan.datasets.loader import Batches
from progan.datasets.spec import DataSpec
from progan.stages.errors import MetricError
from progan.stages.images import to_uint8
from progan.stages.metrics import measure as module
from progan.stages.metrics.measure import Subject, heartbeats, measure
from progan.stages.networks.generator import Generator
from progan.stages.rng import metric_latents
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import MetricsSpec

MODEL = ModelSpec(latent=8, fmap_base=64, fmap_max=8)


@pytest.fixture
def reals(shapes: Path) -> Iterator[Batches]:
    with Batches(DataSpec(path=str(shapes)), 16, seed=3, batch=4, rank=0, world_size=1) as batches:
        yield batches


def subject(reals: Batches, alpha: float = 1.0, side: int = 16) -> Subject:
    torch.manual_seed(0)
    generator = Generator(MODEL, side, fading=True).requires_grad_(False)
    return Subject(generator, alpha, 3, reals, 16, batch_size=10)


class Recorder:
    """A metric that keeps its pictures."""

    def __init__(self) -> None:
        self.fakes: list[Tensor] = []
        self.reals: list[Tensor] = []

    def values(self, heartbeat: object) -> dict[str, float]:
        return {}

    def add(self, fakes: Tensor, reals: Tensor, start: int) -> None:
        assert start == sum(map(len, self.fakes))
        self.fakes.append(fakes)
        self.reals.append(reals)


def pictures_fed(
    subject: Subject, images: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[Tensor, Tensor]:
    """The fakes and reals that metrics get."""
    recorder = Recorder()
    monkeypatch.setattr(module, "SimilarPairs", lambda ranks: recorder)
    measure(subject, alone(), ["ms_ssim"], MetricsSpec(images=images))
    return torch.cat(recorder.fakes), torch.cat(recorder.reals)


def test_reals_are_a_random_sample_without_repetition(
    reals: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, found = pictures_fed(subject(reals), 40, monkeypatch)
    assert len(found) == 40 and len({picture.numpy().tobytes() for picture in found}) == 40
    expected = torch.cat([next(reals).images for _ in range(10)])
    assert torch.equal(found, to_uint8(expected))


def test_reals_are_faded_like_the_fakes(reals: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes, found = pictures_fed(subject(reals, alpha=0.0), 8, monkeypatch)
    for pictures in (fakes, found):
        assert torch.equal(pictures[:, :, ::2, ::2], pictures[:, :, 1::2, 1::2])


def test_fakes_of_a_smaller_resolution_are_upscaled(
    reals: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = subject(reals, side=8)
    fakes, found = pictures_fed(small, 8, monkeypatch)
    assert fakes.shape == found.shape == (8, 3, 16, 16)
    expected = to_uint8(small.generator(metric_latents(3, 8, 8)))
    assert torch.equal(fakes[:, :, ::2, ::2], expected)
    assert torch.equal(fakes[:, :, 1::2, 1::2], expected)


def test_small_data_set_is_compared_whole(reals: Batches) -> None:
    found = measure(subject(reals), alone(), ["swd", "ms_ssim"], MetricsSpec(images=8192))
    assert (found.images, found.left_out) == (96, {})
    assert list(found.values) == ["swd_16", "swd_mean", "ms_ssim"]


def test_missing_weights_leave_out_the_metrics_of_inception(reals: Batches) -> None:
    found = measure(subject(reals), alone(), ["fid", "swd", "kid"], MetricsSpec(images=8))
    assert set(found.left_out) == {"fid", "kid"}
    assert "swd_16" in found.values


def test_swd_of_constant_pictures_is_left_out(
    reals: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    collapsed = subject(reals)
    for parameter in collapsed.generator.parameters():
        parameter.zero_()
    found = measure(collapsed, alone(), ["swd", "ms_ssim"], MetricsSpec(images=8))
    assert found.values == {"ms_ssim": pytest.approx(1.0)}
    assert found.left_out == {"swd_16": "it is not finite", "swd_mean": "it is not finite"}


def test_unreadable_pictures_raise_metric_error(
    reals: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(positions: np.ndarray) -> None:
        raise OSError("record 7 is damaged")

    monkeypatch.setattr(reals, "at", broken)
    with pytest.raises(MetricError, match="record 7 is damaged"):
        measure(subject(reals), alone(), ["swd"], MetricsSpec(images=8))


def test_heartbeats_counts_the_calls(reals: Batches) -> None:
    calls: list[int] = []
    names, spec = ["swd", "ms_ssim"], MetricsSpec(images=34)
    measure(subject(reals), alone(), names, spec, lambda: calls.append(1))
    assert len(calls) == heartbeats(subject(reals), names, spec)


def test_too_few_pictures_for_the_ranks_is_an_error(reals: Batches) -> None:
    many = dataclasses.replace(alone(), size=3)
    with pytest.raises(MetricError, match="4 pictures are too few to compare on 3 ranks"):
        measure(subject(reals), many, ["swd"], MetricsSpec(images=4))
