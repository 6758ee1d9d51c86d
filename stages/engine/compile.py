"""torch.compile in a stage's step: whole passes as one graph each, for a wait before the first."""

from collections.abc import Callable
from textwrap import shorten
from typing import Any

import torch
from torch import nn

from progan.stages.errors import StageError
from progan.stages.networks.discriminator import Discriminator
from progan.stages.networks.encoder import Encoder
from progan.stages.networks.generator import Generator
from progan.stages.networks.multi_discriminator import MultiDiscriminator

BACKEND = "inductor"
MOST_GRAPHS = 64
"""Of one method in a process. A stage has a few: with gradients and without, fading and not."""

WHY = 300
"""The most that is told of an error of torch's, which may be pages, in characters"""


def compile_passes(
    generator: Generator, discriminator: Discriminator | MultiDiscriminator, encoder: Encoder | None
) -> None:
    """Have the passes that are differentiated once compiled, when they are first called.

    Those of generator and encoder, and the discriminator's `forward_features` and `forward_both`.
    Its `forward` stays: penalties differentiate it twice, and compiled code can be once. Only these
    objects' own
    methods are put in place, so that weights, their names and whatever was copied before know
    nothing of it; a copy made after it would call the networks it is of.
    """
    import torch._dynamo.config
    import torch._inductor.config

    torch._dynamo.config.recompile_limit = MOST_GRAPHS
    if next(generator.parameters()).device.type == "cpu":
        # Else all convolutions are channels last, which in float32 is slower (precision.py).
        torch._inductor.config.layout_optimization = False
    methods: list[tuple[str, nn.Module, str]] = [
        ("generator", generator, "forward"),
        ("discriminator", discriminator, "forward_features"),
        ("discriminator", discriminator, "forward_both"),
    ]
    if encoder is not None:
        methods.append(("encoder", encoder, "forward"))
    for name, network, method in methods:
        setattr(network, method, _compiled(name, network, method))


def _compiled(name: str, network: nn.Module, method: str) -> Callable[..., Any]:
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    device = next(network.parameters()).device
    # Every shape has a graph of its own, so that none depends on what was called before it, which
    # is not the same in a run that was interrupted. A pass that is no whole graph is an error.
    run: Callable[..., Any] = torch.compile(
        getattr(network, method), backend=BACKEND, dynamic=False, fullgraph=True
    )

    def call(*inputs: Any, **options: Any) -> Any:
        told = (_alpha(each, device) if isinstance(each, float) else each for each in inputs)
        try:
            return run(*told, **options)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            why = shorten(str(error).strip().partition("\n\n")[0], WHY, placeholder="...")
            raise StageError(
                f"engine.compile: torch cannot compile the {name}; set engine.compile=off, or see "
                f"whether progan doctor misses a compiler ({why})"
            ) from error

    return call


def _alpha(alpha: float, device: torch.device) -> float | torch.Tensor:
    """alpha for a graph: a number would be part of it, and it changes with every step of a fade."""
    return torch.full((), alpha, device=device) if alpha < 1.0 else 1.0
