"""BEGAN's loss and its balance between discriminator and generator (Berthelot et al. 2017)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from progan.stages.objectives.adversarial import Loss
from progan.stages.objectives.adversarial_term import Adversarial
from progan.stages.specs.losses import Began
from progan.stages.specs.objective import ObjectiveSpec

K = "began.k"


class BeganLoss(Adversarial):
    """E(x) - k E(G(z)) and E(G(z)) with energies E = -logit; k follows the balance of the two.

    Source: Berthelot et al. 2017 (arXiv 1703.10717), sections 3.3 and 3.4.
    """

    def __init__(self, spec: ObjectiveSpec, device: torch.device) -> None:
        assert isinstance(spec.loss, Began)
        self.spec = spec.loss
        self.k = torch.zeros((), dtype=torch.float64, device=device)
        loss = Loss(lambda real, fake: self.k * fake - real, lambda _, fake: -fake)
        super().__init__(loss, spec.critics)

    def state(self) -> dict[str, Tensor]:
        """k, 0 at first: the discriminator only learns to reconstruct reals."""
        return {K: self.k}

    def after_step(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """k = clip(k + lambda_k (gamma E(x) - E(G(z))), 0, 1); k and the measure of convergence.

        The latter is E(x) + |gamma E(x) - E(G(z))|. Energies are means over all ranks.
        """
        of_reals, of_fakes = -means["real_logits"], -means["generator_logits"]
        imbalance = self.spec.gamma * of_reals - of_fakes
        self.k.add_(self.spec.lambda_k * imbalance).clamp_(0, 1)
        return {"began_k": self.k.clone(), "began_convergence": of_reals + imbalance.abs()}
