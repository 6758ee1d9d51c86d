"""Penalties of the generator's loss, unweighted: one value per sample or per group."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from progan.stages.objectives.adversarial_term import Adversarial
from progan.stages.objectives.passes import GeneratorPass
from progan.stages.objectives.term import Penalty
from progan.stages.specs import penalties as specs


class FeatureMatching(Penalty):
    """An unbiased estimate of |E f(x) - E f(G(z))|^2 from every group, (N / group,).

    With d_i = f(x_i) - f(G(z_i)): the mean of <d_i, d_j> over a group's pairs i != j. The square of
    a group's mean would add tr Cov(d) / group to it, which is least for fakes that are all alike.
    A value can be negative. Groups are consecutive samples, since what is taken over a batch would
    depend on how the batch is split over ranks. Source: Salimans et al. 2016 (arXiv 1606.03498),
    section 3.1; pairs without i = j: Gretton et al. 2012 (JMLR 13), lemma 6, with a linear kernel.
    """

    spec: specs.FeatureMatching

    def of_generator(self, p: GeneratorPass) -> Tensor:
        """(N / group,)."""
        group = self.spec.group
        with torch.no_grad():
            target = p.features(p.reals)
        difference = target - p.features(p.fakes)
        grouped = difference.reshape(-1, group, difference.shape[1])
        of_pairs = grouped.sum(dim=1).square().sum(dim=1) - grouped.square().sum(dim=(1, 2))
        return of_pairs / (group * (group - 1))


class PullingAway(Penalty):
    """Mean of the squared cosines between the features of a group's fakes, (N / group,).

    Taken over groups of consecutive samples where the paper takes the batch. Source: Zhao et al.
    2017 (arXiv 1609.03126), eq. 4.
    """

    spec: specs.PullingAway

    def of_generator(self, p: GeneratorPass) -> Tensor:
        """(N / group,)."""
        features, group = p.features(p.fakes), self.spec.group
        units = F.normalize(features, dim=1).reshape(-1, group, features.shape[1])
        cosines = units @ units.transpose(1, 2)
        of_pairs = cosines.square().sum(dim=(1, 2)) - group  # without each with itself
        return of_pairs / (group * (group - 1))


class ModeRegularizer(Penalty):
    """lambda_1 d(x, G(E(x))) - lambda_2 log D(G(E(x))) at reals x, (N,); for G and E.

    d is the mean square of the difference, of an image's values or of the discriminator's features
    of it. Logarithms are for losses whose logit's sigmoid is a probability, `minimax` among them;
    other losses put the generator's loss of a fake in their place. Source: Che et al. 2017 (arXiv
    1612.02136), sections 3.1 and 3.2, the generator's and the encoder's objectives. There log D has
    the other sign, though it is to become large. The discriminator sees a reconstruction augmented
    exactly as its real; `pixels` compares them without augmentation.
    """

    spec: specs.ModeRegularizer

    def __init__(self, spec: Any, adversarial: Adversarial) -> None:
        super().__init__(spec)
        self.adversarial = adversarial

    def of_generator(self, p: GeneratorPass) -> Tensor:
        """(N,)."""
        images = p.reconstruct()
        seen = p.as_real(images)
        if self.spec.distance == "pixels":
            difference = (images - p.faded_reals).flatten(1)
        else:
            with torch.no_grad():
                target = p.features(p.reals)
            difference = p.features(seen) - target
        # Of several discriminators, each has its own features of every image.
        distances = difference.square().mean(dim=1).reshape(-1, len(images)).mean(dim=0)
        reconstruction_adversarial = self.adversarial.of_reconstructions(p, seen)
        return self.spec.lambda_1 * distances + self.spec.lambda_2 * reconstruction_adversarial
