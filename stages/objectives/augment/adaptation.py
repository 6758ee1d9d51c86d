"""ADA's control of p: it follows how certain the discriminator is of the reals it trains on."""

from collections.abc import Mapping

import torch
from torch import Tensor

from progan.stages.objectives.augment.augmentation import Augmentation
from progan.stages.objectives.passes import DiscriminatorPass
from progan.stages.objectives.term import Term
from progan.stages.specs.augment import AdaSpec, undecided
from progan.stages.specs.stage import StageSpec

SIGN = "real_sign"


class AdaptAugmentation(Term):
    """Moves p by a fixed amount towards where the mean sign of D(real) is the target.

    Every `interval` steps, by the sign's mean over them and over all ranks (r_t); p stays in
    [0, 1]. It is no part of the loss. Source: Karras et al. 2020 (arXiv 2006.06676), section 3.2.
    """

    weight = 0.0

    def __init__(self, spec: AdaSpec, p: Tensor, border: float, images_per_step: int) -> None:
        """p: (), float64, changed in place; border: the logit between real and fake."""
        self.spec, self.p, self.border = spec, p, border
        self.change = images_per_step * spec.interval / (spec.kimg * 1000)
        self.signs, self.steps = torch.zeros_like(p), torch.zeros_like(p)
        """Sum of the means since the last adaptation, and their number"""

    def state(self) -> dict[str, Tensor]:
        """p, and what the next adaptation goes by."""
        return {"augment.p": self.p, "augment.signs": self.signs, "augment.steps": self.steps}

    def discriminator(self, p: DiscriminatorPass) -> dict[str, Tensor]:
        """The sign of D(real), to be averaged."""
        return {SIGN: (p.real_logits.detach() - self.border).sign()}

    def after_step(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Adapt p if it is due; returns the p that this step's augmentations had."""
        before = self.p.clone()
        self.signs.add_(means[SIGN])
        self.steps.add_(1)
        due = self.steps == self.spec.interval
        towards = (self.signs / self.steps - self.spec.target).sign()
        self.p.add_(due * self.change * towards).clamp_(0, 1)
        self.signs.mul_(~due)
        self.steps.mul_(~due)
        return {"augment_p": before}


def adaptations(spec: StageSpec, augmentation: Augmentation | None) -> list[Term]:
    """What a stage adds to its terms."""
    if augmentation is None or augmentation.ada is None:
        return []
    border = undecided(spec.objective.loss)
    assert isinstance(spec.augment, AdaSpec) and border is not None  # AdaSpec.conflicts
    return [AdaptAugmentation(spec.augment, augmentation.ada.p, border, spec.images_per_step)]
