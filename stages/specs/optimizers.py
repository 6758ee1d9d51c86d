"""The optimisers that a configuration can ask for, and their parameters; no torch.

`optimizer.kind` names one; the other keys of `optimizer` are its own, or learning rates.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, model_validator

from progan.stages.specs.base import Spec

Decay = Annotated[float, Field(ge=0, lt=1)]


class AdamSpec(Spec):
    """Adam, for both networks (PGGAN, appendix A.1)."""

    kind: Literal["adam"] = "adam"
    beta1: Decay = 0.0
    """Decay of the mean gradient per step."""
    beta2: Decay = 0.99
    """Decay of the mean squared gradient per step."""
    eps: PositiveFloat = 1e-8
    """Added to the root of the mean square, by which a step is divided."""
    reset_on_growth: bool = True
    """Reset the moments when a resolution begins to fade in and when the fade ends."""
    moments: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    """State per weight, by torch's names"""


class RmsPropSpec(Spec):
    """RMSProp, for both networks, as WGAN with weight clipping was trained.

    Arjovsky et al. 2017, section 4: momentum makes such a critic's training unstable.
    """

    kind: Literal["rmsprop"]
    alpha: Decay = 0.99
    """Decay of the mean square per step."""
    eps: PositiveFloat = 1e-8
    """As Adam's."""
    reset_on_growth: bool = True
    """As Adam's."""
    moments: ClassVar[tuple[str, ...]] = ("square_avg",)
    """As Adam's"""


class SgdSpec(Spec):
    """Stochastic gradient descent with momentum, for both networks.

    What the first GANs were trained with (Goodfellow et al. 2014, algorithm 1). Its steps are as
    long as the gradients, so that its learning rates are other than Adam's, often higher.
    """

    kind: Literal["sgd"]
    momentum: Decay = 0.5
    """Share of the last step's direction that is kept; 0 for none."""
    nesterov: bool = False
    """Whether the gradient counts as after the momentum's part of the step."""
    reset_on_growth: bool = True
    """As Adam's: the momentum becomes 0."""

    @model_validator(mode="after")
    def _nesterovs_is_a_momentum(self) -> "SgdSpec":
        if self.nesterov and not self.momentum:
            raise ValueError(
                "nesterov is a kind of momentum: set momentum above 0, or leave it out"
            )
        return self

    @property
    def moments(self) -> tuple[str, ...]:
        """As Adam's."""
        return ("momentum_buffer",) if self.momentum else ()


def adam_by_default(value: Any) -> Any:
    """A map without `kind` means Adam."""
    return {"kind": "adam"} | value if isinstance(value, dict) else value


AnyOptimizer = AdamSpec | RmsPropSpec | SgdSpec
OptimizerSpec = Annotated[
    AnyOptimizer, Field(discriminator="kind"), BeforeValidator(adam_by_default)
]
