"""torch.compile for a stage's step: each pass becomes one graph, compiled at its first call."""

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
from progan.stages.specs.stage import Compile

BACKEND = "inductor"
MAX_GRAPHS = 64
"""Per method and process. A stage has a few: with and without gradients, fading and not."""

MAX_REASON = 300
"""Characters quoted of an error of torch, which may be pages long"""


def compile_passes(
    generator: Generator,
    discriminator: Discriminator | MultiDiscriminator,
    encoder: Encoder | None,
    mode: Compile,
) -> None:
    """Compile the passes that are differentiated once, at their first call.

    These are generator and encoder, and the discriminator's `forward_features` and `forward_both`.
    Its `forward` stays eager: penalties differentiate it twice, which compiled code does not
    support. Only methods of these objects are replaced, so weights and their names stay as they
    are; a copy made afterwards would call the networks it was copied from.

    In mode `reduce-overhead` a pass on a GPU is a CUDA graph, whose results are overwritten by the
    next call after `begin_micro_batch`.
    """
    import torch._dynamo.config
    import torch._inductor.config

    torch._dynamo.config.recompile_limit = MAX_GRAPHS
    if next(generator.parameters()).device.type == "cpu":
        # Otherwise all convolutions become channels last, which in float32 is slower.
        torch._inductor.config.layout_optimization = False
    methods: list[tuple[str, nn.Module, str]] = [
        ("generator", generator, "forward"),
        ("discriminator", discriminator, "forward_features"),
        ("discriminator", discriminator, "forward_both"),
    ]
    if encoder is not None:
        methods.append(("encoder", encoder, "forward"))
    for name, network, method in methods:
        setattr(network, method, _compiled(name, network, method, mode))


def begin_micro_batch(mode: Compile) -> None:
    """Let CUDA graphs reuse the memory of the passes before; no tensor of these is used any more.

    Gradients may be kept: torch accumulates those that graphs compute in memory of its own.
    """
    if mode == "reduce-overhead":
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]


def _compiled(name: str, network: nn.Module, method: str, mode: Compile) -> Callable[..., Any]:
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    device = next(network.parameters()).device
    # Every shape has its own graph, so that none depends on earlier calls, which differ in a run
    # that was interrupted. A pass that is not one whole graph is an error.
    run: Callable[..., Any] = torch.compile(
        getattr(network, method), backend=BACKEND, dynamic=False, fullgraph=True, mode=mode
    )

    def call(*inputs: Any, **options: Any) -> Any:
        converted = (_alpha(each, device) if isinstance(each, float) else each for each in inputs)
        try:
            return run(*converted, **options)
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            why = shorten(str(error).strip().partition("\n\n")[0], MAX_REASON, placeholder="...")
            raise StageError(
                f"engine.compile: torch cannot compile the {name}; set engine.compile=off, or see "
                f"whether progan doctor misses a compiler ({why})"
            ) from error

    return call


def _alpha(alpha: float, device: torch.device) -> float | torch.Tensor:
    """alpha as a tensor: a number would be a constant of the graph, and changes every step."""
    return torch.full((), alpha, device=device) if alpha < 1.0 else 1.0
