"""The metrics of a network's features: FID, KID, precision and recall, and the Inception score.

One pass of the network serves all of them. Features -> statistics -> value: FID's and the Inception
score's statistics are sums over the ranks; KID and precision/recall compare pictures in pairs, so
the features themselves are gathered.
"""

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from progan.stages.metrics.inception import Features, Network
from progan.stages.metrics.kept_features import KeptFeatures
from progan.stages.metrics.safe_collectives import SafeCollectives, rank_slice

SPLITS = 10
"""Parts of the pictures over which the Inception score is averaged"""
KID_SUBSET = 1000
"""Pictures in each of KID's 100 random subsets; all pictures if there are fewer"""
NEIGHBOUR = 3
"""Precision and recall: a picture's neighbourhood reaches to its k-th neighbour"""


class FeatureMetrics:
    """Collects the features of this rank's slice of the pictures; see `measure.Metric`."""

    def __init__(
        self,
        names: Collection[str],
        network: Network,
        count: int,
        ranks: SafeCollectives,
        kept: KeptFeatures | None = None,
    ) -> None:
        """`names` are keys of FEATURE_METRICS; `count` fakes and as many reals over all ranks."""
        self._names = [name for name in FEATURE_METRICS if name in names]
        self._network, self._count, self._ranks, self._kept = network, count, ranks, kept
        self._fakes: list[Features] = []
        known = kept.read() if kept else None
        self._reals = [] if known is None else [known]
        self.wants_reals = known is None and self._names != ["inception_score"]

    def add(self, fakes: Tensor, reals: Tensor | None, start: int) -> None:
        """Take the next pictures of both kinds: uint8 (N, C, R, R), as the network takes them."""
        self._fakes.append(self._network(fakes))
        if self.wants_reals:
            assert reals is not None
            self._reals.append(self._network(reals).pool)

    def values(self, heartbeat: Callable[[], None]) -> dict[str, float]:
        """By name; `precision_recall` has two. All ranks must call it."""
        fakes = Features(*(torch.cat(parts) for parts in zip(*self._fakes, strict=True)))
        reals = torch.cat(self._reals) if self._reals else fakes.pool[:0]
        if self._kept and self.wants_reals:
            self._kept.write(reals)
        found: dict[str, float] = {}
        for name in self._names:
            found |= FEATURE_METRICS[name](fakes, reals, self._count, self._ranks)
            heartbeat()
        return found


def fid(fakes: Features, reals: Tensor, count: int, ranks: SafeCollectives) -> dict[str, float]:
    """Fréchet distance between two Gaussians fitted to the features (Heusel et al., 2017)."""
    fitted = [_gaussian(x.double(), count, ranks) for x in (fakes.pool, reals)]
    return ranks.attempt(lambda: {"fid": _frechet(*fitted)}, {})


def _gaussian(own: Tensor, count: int, ranks: SafeCollectives) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the features of all ranks, from sums in float64."""
    mean = ranks.sum(own.sum(0)) / count
    centred = own - mean
    return mean, ranks.sum(centred.T @ centred) / (count - 1)


def _frechet(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> float:
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    statistics = [{"mu": mean.numpy(), "sigma": sigma.numpy()} for mean, sigma in (a, b)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def inception_score(
    fakes: Features, reals: Tensor, count: int, ranks: SafeCollectives
) -> dict[str, float]:
    """exp of the mean KL divergence of each picture's class distribution from the marginal.

    Salimans et al., 2016. Mean over ten parts of the fakes, as usual; the reals are not used.
    """
    logits = fakes.logits.double()
    p = logits.softmax(1)
    begin = rank_slice(count, ranks.world.rank, ranks.world.size).begin
    split = (torch.arange(begin, begin + len(p)) * SPLITS) // count
    zeros = p.new_zeros((SPLITS, p.shape[1] + 2))
    negative_entropy = (p * logits.log_softmax(1)).sum(1, keepdim=True)
    own = torch.cat([p, negative_entropy, torch.ones_like(negative_entropy)], dim=1)
    sums = ranks.sum(zeros.index_add(0, split, own))
    sums = sums[sums[:, -1] > 0]
    means = sums[:, :-1] / sums[:, -1:]
    q, mean_negative_entropy = means[:, :-1], means[:, -1]
    kl = mean_negative_entropy - torch.xlogy(q, q).sum(1)
    return {"inception_score": float(kl.exp().mean())}


def kid(fakes: Features, reals: Tensor, count: int, ranks: SafeCollectives) -> dict[str, float]:
    """Squared maximum mean discrepancy with a cubic kernel (Binkowski et al., 2018)."""
    both = _gathered(fakes, reals, count, ranks)

    def value() -> dict[str, float]:
        from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

        size = min(KID_SUBSET, count)
        found = kid_features_to_metric(*both, kid_subset_size=size, verbose=False)
        return {"kid": float(found[KEY_METRIC_KID_MEAN])}

    return ranks.attempt(value, {}) if ranks.world.is_first else {}


def precision_recall(
    fakes: Features, reals: Tensor, count: int, ranks: SafeCollectives
) -> dict[str, float]:
    """Share of fakes in the reals' neighbourhoods, and the reverse (Kynkaanniemi et al., 2019).

    The paper uses features of VGG-16; here they are Inception's, as for the other metrics.
    """
    both = _gathered(fakes, reals, count, ranks)

    def value() -> dict[str, float]:
        from torch_fidelity.metric_prc import prc_features_to_metric

        found = prc_features_to_metric(
            *both, prc_neighborhood=min(NEIGHBOUR, count - 1), save_cpu_ram=True, verbose=False
        )
        return {name: float(found[name]) for name in ("precision", "recall")}

    return ranks.attempt(value, {}) if ranks.world.is_first else {}


def _gathered(fakes: Features, reals: Tensor, count: int, ranks: SafeCollectives) -> list[Tensor]:
    """The features of all ranks' pictures in rank order, on the CPU."""
    size = ranks.world.size
    lengths = [len(rank_slice(count, rank, size)) for rank in range(size)]
    return [ranks.concat(x.T, lengths).T.contiguous().cpu() for x in (fakes.pool, reals)]


FEATURE_METRICS = {
    "fid": fid,
    "kid": kid,
    "precision_recall": precision_recall,
    "inception_score": inception_score,
}
"""By metric: this rank's features of fakes, and of reals, (N, 2048) -> the values, at least on the
first rank"""
