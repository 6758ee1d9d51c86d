"""The adversarial loss and what belongs to the discriminator's head, as terms."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from progan.stages.networks.multi_discriminator import reduce_discriminators
from progan.stages.objectives.adversarial import Loss
from progan.stages.objectives.passes import DiscriminatorPass, GeneratorPass
from progan.stages.objectives.term import Term
from progan.stages.specs.losses import Began
from progan.stages.specs.objective import ObjectiveSpec

K = "began.k"


class Adversarial(Term):
    """The loss that plays discriminator against generator: the first term of every objective."""

    def __init__(self, loss: Loss, rule: Literal["mean", "hardest"]) -> None:
        self.loss = loss
        self.rule = rule
        """Whether the generator faces the mean of several discriminators, or the hardest"""
        self.generator_needs_reals = loss.generator_sees_reals

    def discriminator(self, p: DiscriminatorPass) -> dict[str, Tensor]:
        """Tell real from fake."""
        return {"": self.loss.discriminator(p.real_logits, p.fake_logits)}

    def generator(self, p: GeneratorPass) -> dict[str, Tensor]:
        """Fakes that the discriminator calls real."""
        losses = self.loss.generator(self.real_logits(p), p.fake_logits)
        return {"": reduce_discriminators(losses, p.discriminators, self.rule)}

    def real_logits(self, p: GeneratorPass) -> Tensor:
        """Empty if neither the loss nor an unrolled discriminator looks at reals."""
        if self.loss.generator_sees_reals or p.players.unrolled:
            return p.real_logits
        return p.fake_logits[:0]

    def of_reconstructions(self, p: GeneratorPass, images: Tensor) -> Tensor:
        """The generator's loss of images that stand for reals (mode_regularizer): (N,)."""
        side = self.loss.of_reconstructions or self.loss.generator
        losses = side(self.real_logits(p), p.logits(images))
        return reduce_discriminators(losses, p.discriminators, self.rule)


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


class AuxiliaryLosses(Term):
    """What a head adds to both objectives: ACGAN's classes, InfoGAN's codes (networks/heads.py)."""

    def discriminator(self, p: DiscriminatorPass) -> dict[str, Tensor]:
        """Of reals and of fakes."""
        real, fake = p.outputs
        of_reals = {f"real_{name}": loss for name, loss in real.auxiliary_losses.items()}
        of_fakes = {f"fake_{name}": loss for name, loss in fake.auxiliary_losses.items()}
        return of_reals | of_fakes

    def generator(self, p: GeneratorPass) -> dict[str, Tensor]:
        """Of its fakes."""
        losses = p.output.auxiliary_losses
        return {f"generator_{name}": loss for name, loss in losses.items()}


class UnrolledValue(Term):
    """The part of the game's value that an unrolled discriminator's logits for reals make up.

    It depends on the generator, through the discriminator's steps, and counts against it (Metz et
    al. 2017, arXiv 1611.02163, eq. 7). For losses whose generator side sees no reals: the
    others have it already.
    """

    logged = False
    generator_needs_reals = True

    def __init__(self, adversarial: Adversarial) -> None:
        self.loss = adversarial.loss

    def generator(self, p: GeneratorPass) -> dict[str, Tensor]:
        """The negative of the discriminator's loss of reals."""
        return {"": -self.loss.discriminator(p.real_logits, p.fake_logits.detach())}
