"""Terms of the generator's loss by name, unweighted: one per sample, or one number."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from progan.stages.spec_penalties import Term
from progan.stages.weight_penalties import orthogonality


class Deception(NamedTuple):
    """What a generator step has at hand."""

    network: nn.Module
    """The generator"""


GENERATOR_PENALTIES: dict[str, Callable[[Deception, Any], Tensor]] = {
    "orthogonal": lambda seen, spec: orthogonality(seen.network, spec),
}


def generator_penalty(seen: Deception, spec: Term) -> Tensor:
    """The term that a configuration asks for, (N,) or (), unweighted."""
    return GENERATOR_PENALTIES[spec.kind](seen, spec)
