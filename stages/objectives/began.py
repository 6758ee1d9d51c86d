"""BEGAN's balance between discriminator and generator (Berthelot et al. 2017)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from progan.stages.specs.losses import Began

K = "began.k"


def first(device: torch.device) -> dict[str, Tensor]:
    """k_0 = 0: at first the discriminator only learns to reconstruct reals."""
    return {K: torch.zeros((), dtype=torch.float64, device=device)}


def balance(
    spec: Began, pieces: Mapping[str, Tensor], scalars: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """k = clip(k + lambda_k (gamma E(x) - E(G(z))), 0, 1), once a step; k and the convergence.

    The energies are means over all ranks. The measure of convergence is E(x) + |gamma E(x) -
    E(G(z))|. Source: Berthelot et al. 2017 (arXiv 1703.10717), sections 3.3 and 3.4.
    """
    of_reals, of_fakes = -scalars["real_logits"], -scalars["generator_logits"]
    imbalance = spec.gamma * of_reals - of_fakes
    k = pieces[K]
    k.add_(spec.lambda_k * imbalance).clamp_(0, 1)
    return {"began_k": k.clone(), "began_convergence": of_reals + imbalance.abs()}
