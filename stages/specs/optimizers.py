"""The optimisers that a configuration can ask for, and their parameters; no torch.

`optimizer.kind` names one; the other keys of `optimizer` are its own, or learning rates.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat

from progan.stages.specs.base import Spec

Decay = Annotated[float, Field(ge=0, lt=1)]


class AdamSpec(Spec):
    """Adam, for both networks (PGGAN, appendix A.1)."""

    kind: Literal["adam"] = "adam"
    beta1: Decay = 0.0
    beta2: Decay = 0.99
    eps: PositiveFloat = 1e-8
    reset_on_growth: bool = True
    """Reset the moments when a resolution begins to fade in and when the fade ends."""


class RmsPropSpec(Spec):
    """RMSProp, for both networks, as WGAN with weight clipping was trained.

    Arjovsky et al. 2017, section 4: momentum makes such a critic's training unstable.
    """

    kind: Literal["rmsprop"]
    alpha: Decay = 0.99
    """Decay of the mean square per step."""
    eps: PositiveFloat = 1e-8
    reset_on_growth: bool = True
    """As Adam's."""


def adam_by_default(value: Any) -> Any:
    """A map without `kind` means Adam."""
    return {"kind": "adam"} | value if isinstance(value, dict) else value


AnyOptimizer = AdamSpec | RmsPropSpec
OptimizerSpec = Annotated[
    AnyOptimizer, Field(discriminator="kind"), BeforeValidator(adam_by_default)
]
