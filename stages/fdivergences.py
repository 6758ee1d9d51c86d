"""The f-divergences of f-GAN: output activations and Fenchel conjugates.

Source: Nowozin et al. 2016 (arXiv 1606.00709), tables 2 and 6. The conjugate is written as a
function of the logit v, f*(g_f(v)), where that does not overflow.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Divergence(NamedTuple):
    """One row of table 6."""

    activation: Callable[[Tensor], Tensor]
    """g_f: logits -> the domain of f*"""
    conjugate: Callable[[Tensor], Tensor]
    """f*(g_f(v)) of logits v"""


LOG2 = math.log(2)

DIVERGENCES = {
    "kl": Divergence(lambda v: v, lambda v: torch.exp(v - 1)),
    "reverse_kl": Divergence(lambda v: -torch.exp(-v), lambda v: v - 1),
    "pearson": Divergence(lambda v: v, lambda v: v.square() / 4 + v),
    "neyman": Divergence(lambda v: 1 - torch.exp(-v), lambda v: 2 - 2 * torch.exp(-v / 2)),
    "squared_hellinger": Divergence(lambda v: 1 - torch.exp(-v), lambda v: torch.exp(v) - 1),
    "jensen_shannon": Divergence(lambda v: LOG2 - F.softplus(-v), lambda v: F.softplus(v) - LOG2),
    "total_variation": Divergence(lambda v: torch.tanh(v) / 2, lambda v: torch.tanh(v) / 2),
}
