"""What every loss, penalty and constraint is to a step: a term with the same few methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from progan.stages.objectives.passes import DiscriminatorPass, GeneratorPass, Pass, Side

if TYPE_CHECKING:
    from progan.stages.distributed.world import World
    from progan.stages.engine.engine import Engine


class Term:
    """Takes no part in anything; subclasses override what they take part in.

    Formulas only: a term never calls backward, never sees the disk or a logger. Values are
    unweighted; the mean over the samples, the weight and the interval are `objective`'s.
    """

    weight: float = 1.0
    interval: int = 1
    """Updates of a network from one in which the term counts to the next"""
    logged: bool = True
    """Whether the term is part of `<side>_loss` in the log"""
    generator_needs_reals: bool = False
    """Whether its part in the generator's loss looks at reals"""

    def state(self) -> dict[str, Tensor]:
        """What the term remembers, by name: the same on all ranks, kept in checkpoints."""
        return {}

    def before_update(self, side: Side, network: nn.Module) -> None:
        """Called before each update of a network."""

    def prepare(self, side: Side, passes: Callable[[], Iterable[Pass]], world: World) -> None:
        """Called before an update in which the term counts; may communicate.

        passes: gives this rank's micro-batches one by one, as often as it is called.
        """

    def discriminator(self, p: DiscriminatorPass) -> dict[str, Tensor]:
        """Parts of the discriminator's loss by the name they are logged under: (N,) or ().

        A part named "" is not logged by itself.
        """
        return {}

    def generator(self, p: GeneratorPass) -> dict[str, Tensor]:
        """Parts of the generator's loss, as of the discriminator's."""
        return {}

    def after_update(self, side: Side, engine: Engine) -> None:
        """Called after each update of a network."""

    def after_step(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Called after a step with the mean over ranks of all scalars; returns more to be logged.

        All are () and stay on the device.
        """
        return {}


class Penalty(Term):
    """A weighted term of one network's loss, or of both; `spec.networks` says which."""

    def __init__(self, spec: Any) -> None:
        self.spec = spec
        self.weight, self.interval = spec.weight, spec.interval
        self.generator_needs_reals = spec.needs_reals

    def discriminator(self, p: DiscriminatorPass) -> dict[str, Tensor]:
        """`<kind>_penalty`."""
        if "discriminator" not in self.spec.networks:
            return {}
        return {f"{self.spec.kind}_penalty": self.of_discriminator(p)}

    def generator(self, p: GeneratorPass) -> dict[str, Tensor]:
        """`generator_<kind>_penalty`."""
        if "generator" not in self.spec.networks:
            return {}
        return {f"generator_{self.spec.kind}_penalty": self.of_generator(p)}

    def of_discriminator(self, p: DiscriminatorPass) -> Tensor:
        """The penalty in the discriminator's loss, unweighted: (N,) or ()."""
        raise NotImplementedError

    def of_generator(self, p: GeneratorPass) -> Tensor:
        """The penalty in the generator's loss, unweighted: (N,) or ()."""
        raise NotImplementedError
