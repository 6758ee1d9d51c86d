"""Geometry Score: how the topology of the set of fakes differs from that of the set of reals.

Khrulkov and Oseledets 2018 (arXiv 1802.02664): pictures are points; 64 random ones of a set are the
landmarks of a witness complex, and all points of the set are its witnesses. Its number of holes,
beta_1(alpha), is counted while alpha grows to alpha_max. The relative living time of i holes is the
share of [0, alpha_max] in which there are i (eq. 2); its mean over 1,000 choices of landmarks
describes the set (algorithm 1). The score is the squared distance of two such means (algorithm 2),
times 1000 as published; 0 is best.

Points are pictures of 32x32 at most (box means), and 2,048 of a set at most. Distances are not
squared, and alpha_max is the longest one from a landmark times points / 5000 / 128, as in the
authors' code.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.errors import MetricError
from progan.stages.metrics.safe_collectives import SafeCollectives, rank_slice
from progan.stages.rng import Purpose, keyed

SIDE, POINTS = 32, 2048
LANDMARKS = 64
"""In a complex; half of the points if there are fewer than 128"""
CHOICES = 1000
"""Of landmarks, over which living times are averaged"""
MOST_HOLES = 100
"""Living times of so many holes and more do not count"""
PARTS = 20
"""Of the choices, after each of which `heartbeat` is called"""
Doubles = npt.NDArray[np.float64]


def require_gudhi() -> None:
    """MetricError, saying what to do, if the library is missing."""
    try:
        import gudhi  # noqa: F401
    except ImportError as error:
        raise MetricError(
            "it needs a library that is missing: pip install 'progan[geometry]'"
        ) from error


class GeometryScore:
    """Collects the points of this rank's slice of the pictures; see `measure.Metric`."""

    wants_reals = True

    def __init__(self, resolution: int, channels: int, count: int, ranks: SafeCollectives) -> None:
        """`count` fakes and as many reals over all ranks."""
        self._ranks, self._side = ranks, min(resolution, SIDE)
        slices = [rank_slice(count, rank, ranks.world.size) for rank in range(ranks.world.size)]
        self._lengths = [max(0, min(each.end, POINTS) - each.begin) for each in slices]
        self._begin = slices[ranks.world.rank].begin
        size = channels * self._side**2
        self.points = torch.zeros(2, self._lengths[ranks.world.rank], size)
        """Of fakes and of reals"""

    def add(self, fakes: Tensor, reals: Tensor | None, start: int) -> None:
        """Add pictures start, start + 1, ... of both kinds: uint8 (N, C, R, R)."""
        assert reals is not None
        first = start - self._begin
        for kept, images in zip(self.points, (fakes, reals), strict=True):
            rows = kept[first : first + len(images)]
            small = F.adaptive_avg_pool2d(images[: len(rows)].float(), self._side)
            rows.copy_(small.flatten(1))

    def values(self, heartbeat: Callable[[], None]) -> dict[str, float]:
        """`geometry_score`. All ranks must call it; each takes its share of the choices."""
        world = self._ranks.world
        sets = [self._ranks.concat(x.T, self._lengths).T.cpu() for x in self.points]
        none: list[Doubles] = []
        distances = self._ranks.attempt(lambda: [distances_of(x) for x in sets], none)
        sums = torch.zeros(2, MOST_HOLES, dtype=torch.float64)
        for part in range(PARTS):
            choices = range(CHOICES)[part::PARTS][world.rank :: world.size]
            count = partial(living_times, distances, choices)
            sums += self._ranks.attempt(count, torch.zeros_like(sums))
            heartbeat()
        fakes, reals = self._ranks.sum(sums) / CHOICES
        return {"geometry_score": 1000 * float((fakes - reals).square().sum())}


def distances_of(points: Tensor) -> Doubles:
    """All pairwise distances, float64: (N, F) -> (N, N)."""
    return torch.cdist(points.double(), points.double()).numpy()


def living_times(sets: Sequence[Doubles], choices: Iterable[int]) -> Tensor:
    """The sum over these choices of landmarks of each set's relative living times.

    sets: their distances, of N points each. Returns (sets, MOST_HOLES). The choices are the same in
    every call and for all sets, so that a set's score against itself is 0.
    """
    sums = np.zeros((len(sets), MOST_HOLES))
    for choice in choices:
        for own, distances in zip(sums, sets, strict=True):
            count = len(distances)
            chosen = keyed(0, 0, Purpose.METRIC_LANDMARKS, choice).choice(
                count, min(LANDMARKS, count // 2), replace=False
            )
            own += relative_living_times(distances[:, chosen], count / 5000 / 128)
    return torch.from_numpy(sums)


def relative_living_times(distances: Doubles, gamma: float) -> Doubles:
    """RLT(0), RLT(1), ... (paper, eq. 2): shares of [0, alpha_max] with so many holes.

    distances: of witnesses from landmarks, (N, L). Returns (MOST_HOLES,).
    """
    from gudhi import WitnessComplex

    longest = gamma * float(distances.max())
    found = np.zeros(MOST_HOLES)
    if longest == 0:  # one point: no holes
        found[0] = 1.0
        return found
    order = np.argsort(distances, axis=1, kind="stable")
    table = np.dstack([order, np.take_along_axis(distances, order, axis=1)])
    witnessed = WitnessComplex(nearest_landmark_table=table)
    tree = witnessed.create_simplex_tree(max_alpha_square=longest, limit_dimension=2)
    tree.compute_persistence(homology_coeff_field=2)
    holes = np.minimum(tree.persistence_intervals_in_dimension(1).reshape(-1, 2), longest)
    times = np.unique([0.0, longest, *holes.flat])
    middles = (times[:-1] + times[1:]) / 2
    born, dead = (np.searchsorted(np.sort(column), middles) for column in holes.T)
    number, shares = born - dead, np.diff(times) / longest
    kept = number < MOST_HOLES
    np.add.at(found, number[kept], shares[kept])
    return found
