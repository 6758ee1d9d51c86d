"""DeepSpeed's private names that progan relies on, each in one function.

pyproject.toml bounds the version above; tests/stages/engine/test_deepspeed_private.py fails with
the name that a new version no longer has.
"""

from typing import Any

from torch import Tensor, nn


def sharded_gradients(zero_optimizer: Any) -> list[Tensor]:
    """The averaged gradients that this rank steps with under ZeRO 1 or 2.

    The public getters gather each parameter over the ranks, at every step.
    """
    groups = zero_optimizer.averaged_gradients.values()
    return [gradient for group in groups for gradient in group]


def master_fragment(parameter: nn.Parameter) -> Tensor | None:
    """The part of a parameter's float32 master copy that this rank steps on; None if it has none.

    The public setter takes whole tensors only, and gathers.
    """
    mapping = getattr(parameter, "_hp_mapping", None)
    if mapping is None:
        return None
    fragment: Tensor = mapping.get_hp_fragment()
    return fragment


def link_optimizer_state(zero_optimizer: Any) -> None:
    """Have the public getters and setters of optimizer state work before a first real step."""
    zero_optimizer._lazy_init_hp_params_optimizer_state()


def copy_own_moment(parameter: nn.Parameter, moment: str, whole: Tensor) -> None:
    """Copy the part of a parameter's moment that this rank keeps into `whole`, (elements,).

    The public getter takes a collective for each parameter and moment.
    """
    mapping = getattr(parameter, "_hp_mapping", None)
    if mapping is not None:
        part = mapping.lp_fragment_address
        own = mapping.get_optim_state_fragment(moment)
        whole.narrow(0, part.start, part.numel).copy_(own)
