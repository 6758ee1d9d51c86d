"""Terms of the generator's loss by name, unweighted: one per sample or group, or one number."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from progan.stages.objectives.historical_average import distance
from progan.stages.objectives.orthogonality import orthogonality
from progan.stages.specs.penalties import FeatureMatching, ModeRegularizer, PullingAway, Term


class Deception(NamedTuple):
    """What a generator step has at hand."""

    features: Callable[[Tensor], Tensor]
    """(N, C, H, W) images -> (N, F), what the discriminator's last dense layer sees"""
    fakes: Tensor
    reals: Tensor | None
    """Like the fakes, where a loss or a penalty needs them"""
    network: nn.Module
    """The generator"""
    pieces: Mapping[str, Tensor]
    """What penalties remember (pieces.py)"""
    disagreement: Callable[[], Tensor]
    """() -> (), half the square of both losses' gradients (consensus.py)"""
    reconstruct: Callable[[], Tensor] | None = None
    """() -> the reals as generator and encoder draw them again, if there is an encoder"""
    unmasking: Callable[[Tensor], Tensor] | None = None
    """Reconstructions -> (N,), what it costs that they are not taken for real"""


def feature_matching(seen: Deception, spec: FeatureMatching) -> Tensor:
    """|E f(x) - E f(G(z))|^2 for every group, (N / group,).

    The paper's averages are over the batch; ours over groups of consecutive samples, since a
    batch's average would depend on how it was cut over ranks. Source: Salimans et al. 2016
    (arXiv 1606.03498), section 3.1.
    """
    assert seen.reals is not None
    with torch.no_grad():
        wanted = seen.features(seen.reals)
    difference = wanted - seen.features(seen.fakes)
    means = difference.reshape(-1, spec.group, difference.shape[1]).mean(dim=1)
    return means.square().sum(dim=1)


def pulling_away(seen: Deception, spec: PullingAway) -> Tensor:
    """Mean of the squared cosines between the features of a group's fakes, (N / group,).

    Taken over groups of consecutive samples where the paper takes the batch. Source: Zhao et al.
    2017 (arXiv 1609.03126), eq. 4.
    """
    features = seen.features(seen.fakes)
    units = F.normalize(features, dim=1).reshape(-1, spec.group, features.shape[1])
    cosines = units @ units.transpose(1, 2)
    of_pairs = cosines.square().sum(dim=(1, 2)) - spec.group  # without each with itself
    return of_pairs / (spec.group * (spec.group - 1))


def mode_regularizer(seen: Deception, spec: ModeRegularizer) -> Tensor:
    """lambda_1 d(x, G(E(x))) - lambda_2 log D(G(E(x))) at reals x, (N,); for G and E.

    d is the mean square of the difference, of a picture's values or of the discriminator's features
    of it. Logarithms are for losses whose logit's sigmoid is a probability, `minimax` among them;
    elsewhere their place is taken by what the loss makes of a fake for its generator. Several
    critics judge as they do the fakes. Source: Che et al. 2017 (arXiv 1612.02136), sections 3.1 and
    3.2, the generator's and the encoder's objectives. There log D has the other sign, though it is
    to become large.
    """
    assert seen.reals is not None and seen.reconstruct and seen.unmasking
    again = seen.reconstruct()
    if spec.distance == "pixels":
        difference = (again - seen.reals).flatten(1)
    else:
        with torch.no_grad():
            wanted = seen.features(seen.reals)
        difference = seen.features(again) - wanted
    # Of several critics, each has features of its own of every picture.
    distances = difference.square().mean(dim=1).reshape(-1, len(again)).mean(dim=0)
    return spec.lambda_1 * distances + spec.lambda_2 * seen.unmasking(again)


GENERATOR_PENALTIES: dict[str, Callable[[Deception, Any], Tensor]] = {
    "orthogonal": lambda seen, spec: orthogonality(seen.network, spec),
    "historical_average": lambda seen, spec: distance("generator", seen.network, seen.pieces),
    "feature_matching": feature_matching,
    "pulling_away": pulling_away,
    "mode_regularizer": mode_regularizer,
    "consensus": lambda seen, spec: seen.disagreement(),
}


def generator_penalty(seen: Deception, spec: Term) -> Tensor:
    """The term that a configuration asks for, unweighted."""
    return GENERATOR_PENALTIES[spec.kind](seen, spec)
