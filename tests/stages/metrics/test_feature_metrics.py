"""The metrics of a network's features, here a tiny fixed one: against libraries and NumPy."""

import numpy as np
import pytest
from torch import Tensor, nn

from measured import scenes, tiny_network
from progan.stages.metrics.feature_metrics import FeatureMetrics
from progan.stages.metrics.safe_collectives import SafeCollectives

COUNT = 60


@pytest.fixture(scope="module")
def fakes() -> Tensor:
    return scenes(COUNT, 16, seed=3)


@pytest.fixture(scope="module")
def reals() -> Tensor:
    return (scenes(COUNT, 16, seed=4).float() * 0.8 + 20).byte()


def value(name: str, fakes: Tensor, reals: Tensor, ranks: SafeCollectives) -> dict[str, float]:
    metric = FeatureMetrics([name], tiny_network, len(fakes), ranks)
    for start in range(0, len(fakes), 25):
        metric.add(fakes[start : start + 25], reals[start : start + 25], start)
    found = metric.values(lambda: None)
    ranks.raise_failures()
    return found


class Pool(nn.Module):
    """The tiny network in torchmetrics' form."""

    num_features = 9

    def forward(self, images: Tensor) -> Tensor:
        return tiny_network(images).pool


def test_fid_agrees_with_torchmetrics(fakes: Tensor, reals: Tensor, ranks: SafeCollectives) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    other = FrechetInceptionDistance(feature=Pool(), normalize=False)
    other.update(reals, real=True)
    other.update(fakes, real=False)
    expected = float(other.compute())
    assert expected > 0.05
    assert value("fid", fakes, reals, ranks)["fid"] == pytest.approx(expected, rel=1e-3)


def test_fid_agrees_with_torch_fidelity(
    fakes: Tensor, reals: Tensor, ranks: SafeCollectives
) -> None:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    both = [fid_features_to_statistics(tiny_network(x).pool.double()) for x in (fakes, reals)]
    expected = fid_statistics_to_metric(*both, verbose=False)["frechet_inception_distance"]
    assert value("fid", fakes, reals, ranks)["fid"] == pytest.approx(expected, rel=1e-6)


def test_kid_is_the_unbiased_mmd(fakes: Tensor, reals: Tensor, ranks: SafeCollectives) -> None:
    x, y = (tiny_network(images).pool.double().numpy() for images in (fakes, reals))

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((a @ b.T / 9 + 1) ** 3)

    others = ~np.eye(COUNT, dtype=bool)
    expected = kernel(x, x)[others].mean() + kernel(y, y)[others].mean() - 2 * kernel(x, y).mean()
    assert value("kid", fakes, reals, ranks)["kid"] == pytest.approx(expected, rel=1e-3)


def covered(points: np.ndarray, manifold: np.ndarray) -> float:
    """Share of points within the third-neighbour distance of some point of a manifold."""

    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(a[:, None] - b[None], axis=2))

    radii = np.sort(distances(manifold, manifold), axis=1)[:, 3]
    return float((distances(points, manifold) <= radii).any(axis=1).mean())


def test_precision_and_recall_agree_with_numpy(
    fakes: Tensor, reals: Tensor, ranks: SafeCollectives
) -> None:
    x, y = (tiny_network(images).pool.double().numpy() for images in (fakes, reals))
    found = value("precision_recall", fakes, reals, ranks)
    assert found == pytest.approx({"precision": covered(x, y), "recall": covered(y, x)})
    assert 0 < found["precision"] < 1 and found["precision"] != found["recall"]


def test_inception_score_agrees_with_torch_fidelity(
    fakes: Tensor, reals: Tensor, ranks: SafeCollectives
) -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = tiny_network(fakes).logits
    expected = isc_features_to_metric(logits, splits=10, shuffle=False)["inception_score_mean"]
    found = value("inception_score", fakes, reals, ranks)["inception_score"]
    assert found == pytest.approx(expected, rel=1e-6)


def test_inception_score_of_fewer_pictures_than_parts(ranks: SafeCollectives) -> None:
    few = scenes(4, 16, seed=5)
    assert value("inception_score", few, few, ranks) == {"inception_score": pytest.approx(1.0)}


def test_metrics_of_identical_sets(fakes: Tensor, ranks: SafeCollectives) -> None:
    assert value("fid", fakes, fakes, ranks)["fid"] == pytest.approx(0, abs=1e-5)
    same = value("precision_recall", fakes, fakes, ranks)
    assert same == {"precision": 1.0, "recall": 1.0}
