"""Geometry Score: living times against homology by hand, and the score of known shapes."""

import sys
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from progan.stages.errors import MetricError
from progan.stages.metrics import geometry
from progan.stages.metrics.geometry import (
    MOST_HOLES,
    Doubles,
    GeometryScore,
    distances_of,
    living_times,
    relative_living_times,
    require_gudhi,
)
from progan.stages.metrics.safe_collectives import SafeCollectives


def rank_over_gf2(columns: list[set[int]]) -> int:
    """Of a matrix given by the rows of each column's ones."""
    pivots: dict[int, set[int]] = {}
    for column in columns:
        while column and max(column) in pivots:
            column = column ^ pivots[max(column)]
        if column:
            pivots[max(column)] = column
    return len(pivots)


def holes(distances: Doubles, alpha: float) -> int:
    """beta_1 of the witness complex by its definition: dim ker d_1 - rank d_2."""
    landmarks = range(distances.shape[1])

    def witnessed(simplex: tuple[int, ...]) -> bool:
        others = [each for each in landmarks if each not in simplex]
        far = distances[:, list(simplex)].max(axis=1)
        return bool((far <= distances[:, others].min(axis=1) + alpha).any())

    edges = [each for each in combinations(landmarks, 2) if witnessed(each)]
    triangles = [
        each
        for each in combinations(landmarks, 3)
        if witnessed(each) and all(side in edges for side in combinations(each, 2))
    ]
    bounds = [{edges.index(side) for side in combinations(each, 2)} for each in triangles]
    return len(edges) - rank_over_gf2([set(each) for each in edges]) - rank_over_gf2(bounds)


@pytest.mark.parametrize("seed", range(3))
def test_living_times_are_those_of_the_witness_complex(seed: int) -> None:
    points = torch.randn(16, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    distances = distances_of(points)[:, :8]
    longest = 0.3 * distances.max()
    found = relative_living_times(distances, 0.3)
    gaps = (distances[:, :, None] - distances[:, None, :]).ravel()
    changes = np.unique(np.clip(gaps, 0, longest))  # the only values at which anything happens
    expected = np.zeros(MOST_HOLES)
    for low, high in pairwise(changes):
        expected[holes(distances, (low + high) / 2)] += (high - low) / longest
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[1] > 0


def test_a_ring_lives_with_one_hole_and_differs_from_a_disc() -> None:
    random = np.random.default_rng(0)

    def ring() -> Doubles:
        angles = random.uniform(0, 2 * np.pi, 500)
        noise = 0.02 * random.standard_normal((500, 2))
        around = np.column_stack([np.cos(angles), np.sin(angles)])
        return distances_of(torch.from_numpy(around + noise))

    disc = distances_of(torch.from_numpy(random.standard_normal((500, 2)) / 2))
    times = living_times([ring(), ring(), disc], range(60)) / 60
    one, another, other = times
    assert one[:3].sum() > 0.9 and other[:3].sum() < 0.1
    assert (one - other).square().sum() > 20 * (one - another).square().sum()


def test_equal_sets_score_0_and_collapsed_fakes_are_found(
    pictures: Tensor, others: Tensor, ranks: SafeCollectives
) -> None:
    def score(fakes: Tensor) -> float:
        metric = GeometryScore(64, 3, len(pictures), ranks)
        for start in (0, 10):
            metric.add(fakes[start : start + 14], pictures[start : start + 14], start)
        return metric.values(lambda: None)["geometry_score"]

    assert score(pictures) == 0
    assert score(pictures[:1].expand_as(pictures)) > score(others) > 0


def test_pictures_beyond_the_most_are_left_out(
    pictures: Tensor, ranks: SafeCollectives, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geometry, "POINTS", 8)
    few, all_of_them = GeometryScore(64, 3, 24, ranks), GeometryScore(64, 3, 8, ranks)
    for start in range(0, 24, 6):
        few.add(pictures[start : start + 6], pictures[start : start + 6], start)
    for start in (0, 4):
        all_of_them.add(pictures[start : start + 4], pictures[start : start + 4], start)
    assert torch.equal(few.points, all_of_them.points) and few.points.shape == (2, 8, 3 * 32 * 32)


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gudhi", None)
    with pytest.raises(MetricError, match=r"pip install 'progan\[geometry\]'"):
        require_gudhi()
