"""Measuring a generator: which pictures are compared, and what happens on failures."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from measured import alone, tiny_network
from progan.datasets.build.prepare import prepare
from progan.datasets.loader import Batches
from progan.datasets.spec import DataSpec
from progan.datasets.synthetic import draw_dataset
from progan.stages.errors import MetricError
from progan.stages.images import to_uint8
from progan.stages.metrics import measure as module
from progan.stages.metrics.inception import Features
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

    wants_reals = True

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
    monkeypatch.setattr(module, "SimilarPairs", lambda name, ranks: recorder)
    measure(subject, alone(), ["ms_ssim"], MetricsSpec(images=images))
    return torch.cat(recorder.fakes), torch.cat(recorder.reals)


def test_reals_are_a_random_sample_without_repetition(
    reals: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, found = pictures_fed(subject(reals), 40, monkeypatch)
    assert len(found) == 40 and len({picture.numpy().tobytes() for picture in found}) == 40
    expected = torch.cat([next(reals).images() for _ in range(10)])
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


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_alpha_are_measured_by_every_kind_of_metric(
    channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inception's metrics see three channels, the others the pictures' own."""
    shapes: set[int] = set()

    def network(images: Tensor) -> Features:
        shapes.add(images.shape[1])
        return tiny_network(images)

    monkeypatch.setattr(module, "load_inception", lambda weights, device: network)
    draw_dataset(tmp_path / "pictures", num=12, size=16, channels=channels)
    prepare(tmp_path / "pictures", tmp_path / "d", 16, channels=channels, workers=1)
    spec = DataSpec(path=str(tmp_path / "d"))
    with Batches(spec, 16, seed=3, batch=4, rank=0, world_size=1) as reals:
        model = MODEL.model_copy(update={"channels": channels})
        generator = Generator(model, 16).requires_grad_(False)
        own = Subject(generator, 1.0, 3, reals, 16, batch_size=10)
        found = measure(own, alone(), ["swd", "ms_ssim", "inception_score"], MetricsSpec())
    assert (shapes, found.left_out) == ({3}, {})
    assert list(found.values) == ["swd_16", "swd_mean", "ms_ssim", "inception_score"]


def test_reals_are_read_only_for_metrics_that_compare_with_them(
    reals: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = measure(subject(reals), alone(), ["ms_ssim", "swd"], MetricsSpec(images=8)).values
    monkeypatch.setattr(reals, "at", None)
    found = measure(subject(reals), alone(), ["ms_ssim"], MetricsSpec(images=8)).values
    assert found == {"ms_ssim": expected["ms_ssim"]}


def precisions() -> list[str]:
    backends: Any = torch.backends
    return [backends.cudnn.conv.fp32_precision, backends.cuda.matmul.fp32_precision]


class Conditions:
    """A metric that records how it is computed."""

    wants_reals = True

    def __init__(self) -> None:
        self.contiguous: list[bool] = []
        self.precisions: list[str] = []

    def add(self, fakes: Tensor, reals: Tensor, start: int) -> None:
        self.contiguous += [fakes.is_contiguous(), reals.is_contiguous()]
        self.values(None)

    def values(self, heartbeat: object) -> dict[str, float]:
        self.precisions += precisions()
        return {}


def test_metrics_get_contiguous_pictures_and_no_tf32(
    reals: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = subject(reals)
    whole.generator.memory_format = torch.channels_last
    assert not whole.generator(torch.ones(2, 8), 1.0).is_contiguous()
    metric = Conditions()
    monkeypatch.setattr(module, "SimilarPairs", lambda name, ranks: metric)
    backends: Any = torch.backends
    backends.cudnn.conv.fp32_precision = "tf32"  # torch's default; another test may have set it
    before = precisions()
    measure(whole, alone(), ["ms_ssim"], MetricsSpec(images=8))
    assert metric.contiguous == [True, True] and metric.precisions == 4 * ["ieee"]
    assert precisions() == before and before[0] == "tf32"


def test_layout_of_the_generators_output_does_not_change_metrics(reals: Batches) -> None:
    names, whole = ["swd", "ms_ssim"], subject(reals)
    expected = measure(whole, alone(), names, MetricsSpec(images=32)).values

    class ChannelsLast(torch.nn.Module):
        model = whole.generator.model

        def forward(self, *inputs: Any) -> Tensor:
            images: Tensor = whole.generator(*inputs)
            return images.to(memory_format=torch.channels_last)

    turned = whole._replace(generator=ChannelsLast())  # type: ignore[arg-type]
    assert measure(turned, alone(), names, MetricsSpec(images=32)).values == expected


def test_missing_weights_leave_out_the_metrics_of_inception(reals: Batches) -> None:
    found = measure(subject(reals), alone(), ["fid", "swd", "kid"], MetricsSpec(images=8))
    assert set(found.left_out) == {"fid", "kid"}
    assert "swd_16" in found.values


def with_tiny_network(monkeypatch: pytest.MonkeyPatch, folder: Path) -> MetricsSpec:
    """In place of Inception, whose file holds its name."""
    monkeypatch.setattr(module, "load_inception", lambda weights, device: tiny_network)
    weights = folder / "weights.pth"
    weights.write_text("tiny")
    return MetricsSpec(images=32, inception_weights=weights)


def test_second_measurement_takes_the_kept_features_of_reals(
    reals: Batches, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec, names = with_tiny_network(monkeypatch, tmp_path), ["fid", "kid", "precision_recall"]
    whole = subject(reals)._replace(features=tmp_path / "features")
    expected = measure(subject(reals), alone(), names, spec).values
    assert measure(whole, alone(), names, spec).values == expected
    with monkeypatch.context() as patch:
        patch.setattr(reals, "at", None)
        assert measure(whole, alone(), names, spec).values == expected
    assert len(list((tmp_path / "features").iterdir())) == 1


@pytest.mark.parametrize("change", ["seed", "mirror", "images", "weights"])
def test_kept_features_of_other_reals_or_weights_are_replaced(
    change: str, shapes: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = with_tiny_network(monkeypatch, tmp_path)
    for changed in (False, True):
        mirror, seed = not (changed and change == "mirror"), 3 + (changed and change == "seed")
        if changed and change == "images":
            spec = spec.model_copy(update={"images": 34})
        if changed and change == "weights":
            (tmp_path / "weights.pth").write_text("other")
        data = DataSpec(path=str(shapes), mirror=mirror)
        with Batches(data, 16, seed=seed, batch=4, rank=0, world_size=1) as batches:
            whole = subject(batches)._replace(features=tmp_path / "features")
            found = measure(whole, alone(), ["fid"], spec).values
            assert found == measure(whole._replace(features=None), alone(), ["fid"], spec).values
    assert len(list((tmp_path / "features").iterdir())) == 1


def test_features_of_fading_reals_are_not_kept(
    reals: Batches, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = with_tiny_network(monkeypatch, tmp_path)
    fading = subject(reals, alpha=0.5)._replace(features=tmp_path / "features")
    assert measure(fading, alone(), ["fid"], spec).values
    assert not (tmp_path / "features").exists()


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
    def broken(positions: object) -> Iterator[None]:
        raise OSError("record 7 is damaged")
        yield

    monkeypatch.setattr(reals, "at", broken)
    with pytest.raises(MetricError, match="record 7 is damaged"):
        measure(subject(reals), alone(), ["swd"], MetricsSpec(images=8))


def test_heartbeats_counts_the_calls(reals: Batches) -> None:
    calls: list[int] = []
    names, spec = ["swd", "ms_ssim", "geometry_score"], MetricsSpec(images=34)
    measure(subject(reals), alone(), names, spec, lambda: calls.append(1))
    assert len(calls) == heartbeats(subject(reals), names, spec)


def test_too_few_pictures_for_the_ranks_is_an_error(reals: Batches) -> None:
    many = dataclasses.replace(alone(), size=3)
    with pytest.raises(MetricError, match="4 pictures are too few to compare on 3 ranks"):
        measure(subject(reals), many, ["swd"], MetricsSpec(images=4))
