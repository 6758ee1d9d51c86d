"""One network under DeepSpeed: backward, the check before the step, the step, the moments.

The step calls the bare modules and hands each loss to the engine of the network it is for. Calling
one network's engine inside the other's step would fire its gradient hooks, which DeepSpeed refuses.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import deepspeed
import torch
from deepspeed.utils import safe_get_full_optimizer_state, safe_set_full_optimizer_state
from torch import Tensor, nn

from progan.stages.distributed.world import World
from progan.stages.engine.deepspeed_private import (
    link_optimizer_state,
    master_fragment,
    sharded_gradients,
)
from progan.stages.engine.loss_scale import LossScale
from progan.stages.engine.optimizers import Moments, make_optimizer
from progan.stages.engine.update import SQUARES, Objective, StepId, Update
from progan.stages.specs.stage import StageSpec

Name = Literal["generator", "discriminator"]
NOTHING_PIGGYBACKED: Mapping[str, float] = {}


class Engine:
    """Updates one module on all ranks. Its weights are those the module has when this is made."""

    def __init__(self, name: Name, module: nn.Module, spec: StageSpec, world: World) -> None:
        self.name = name
        self.module = module
        self.world = world
        self._parts = spec.batch // world.size // spec.part(world.size)
        optimizer = make_optimizer(module.parameters(), spec.rates[name], spec.optimizer)
        sharding = spec.engine.sharding(world.size)
        self._loss_scale = LossScale() if spec.engine.precision == "fp16" else None
        config = {
            # Nothing here reads the batch, but DeepSpeed will not start without one.
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": self._parts,
            "steps_per_print": 2**62,
            "gradient_clipping": 0.0,  # DeepSpeed's default is to clip, at a norm of 1
            "zero_allow_untested_optimizer": True,  # by DeepSpeed; RMSProp is, by our tests
            "zero_optimization": {
                "stage": sharding,
                # It is read by the host. In fp16 it has what overflows left out.
                "compute_grad_norm": self._loss_scale is not None or not sharding,
                "overlap_comm": spec.engine.overlap_comm,
                "reduce_bucket_size": bucket(module, spec.engine.overlap_comm),
            },
        }
        self._engine, self._sharding, _, _ = deepspeed.initialize(
            model=module, optimizer=optimizer, config=config, dist_init_required=False
        )
        self._optimizer = optimizer
        self._sharded = sharding > 0
        self._materialise_moments()

    def update(
        self,
        objectives: Iterable[Objective],
        step_id: StepId,
        piggybacked: Mapping[str, float] = NOTHING_PIGGYBACKED,
    ) -> Update:
        """Take one step down the mean gradient of the objectives, one for each part of the batch.

        They are taken one by one, so that a lazy iterable keeps only one part in memory. What comes
        back can be read later, so that a device is not waited for: the mean over parts and ranks of
        each of their scalars, and the norm of the mean gradient. Whether these are finite is seen
        only then. In fp16 they are waited for, since a gradient that overflows lowers the loss
        scale, and the step is left out. `piggybacked` are numbers of this rank whose means over the
        ranks come back too: one all-reduce serves all.
        """
        scalars = self._backward(objectives, step_id)
        held = self._held_gradients()
        if self._loss_scale and held:  # a rank's share may be empty
            torch._foreach_mul_(held, 1 / self._loss_scale.factor)
        # Sharded gradients add up over the ranks; whole ones are the same on each.
        shares = self.world.size if self._sharded else 1
        sent = scalars | {SQUARES: self._sum_of_squares(held) * shares}
        update = Update(
            network=self.name,
            step_id=step_id,
            world=self.world,
            means=self.world.all_reduce_scalars(sent | self.world.scalars(piggybacked)),
            own=scalars,
            loss_scale=self._loss_scale.factor if self._loss_scale else None,
            may_overflow=self._loss_scale is not None and self._loss_scale.can_shrink,
        )
        overflow = self._loss_scale is not None and update.overflowed()
        if overflow and not self._sharded:
            # Sharded optimisers leave such a step out by themselves, others one without gradients.
            self.module.zero_grad(set_to_none=True)
        self._engine.step()
        if self._loss_scale:
            self._loss_scale.update(overflow)
        return update

    def _backward(self, objectives: Iterable[Objective], step_id: StepId) -> dict[str, Tensor]:
        """Accumulate the parts' gradients; this rank's mean of each of their scalars."""
        scalars: dict[str, Tensor] = {}
        for index, objective in enumerate(objectives, start=1):
            self.world.watchdog.arrive(str(step_id))
            self._engine.set_gradient_accumulation_boundary(index == self._parts)
            loss = objective.loss
            self._engine.backward(loss * self.loss_factor)
            for name, value in objective.scalars.items():
                share = value.double() / self._parts
                scalars[name] = scalars[name] + share if name in scalars else share
        return scalars

    @torch.no_grad()
    def clip(self, bounds: dict[str, float]) -> None:
        """Cut each parameter's values off at its bound, in what ZeRO steps on too."""
        for name, parameter in self.module.named_parameters():
            parameter.clamp_(-bounds[name], bounds[name])
            fragment = master_fragment(parameter)
            if fragment is not None:
                fragment.clamp_(-bounds[name], bounds[name])

    def reset_moments(self) -> None:
        """Forget the optimiser's moments and its step count."""
        for state in self._optimizer.state.values():
            for value in state.values():
                value.zero_()

    def moments(self) -> dict[str, Tensor]:
        """The optimiser's state in full on every rank's CPU, by `<parameter>.<moment>` and `step`.

        Independent of the number of ranks and the ZeRO stage. All ranks must call it.
        """
        self.world.watchdog.arrive()
        state = {"step": torch.tensor([float(self._steps())])}
        for name, parameter in self.module.named_parameters():
            for moment in self._moment_names():
                state[f"{name}.{moment}"] = self._full(parameter, moment).cpu().clone()
        if self._loss_scale:
            state["loss_scale"] = self._loss_scale.state()
        return state

    def flat_moments(self) -> Moments:
        """The same on the device, for steps that are only looked at. All ranks must call it."""
        self.world.watchdog.arrive()
        parameters = list(self.module.parameters())
        flat = {
            moment: torch.cat([self._full(each, moment).flatten() for each in parameters])
            for moment in self._moment_names()
        }
        return Moments(self._steps(), flat)

    @property
    def loss_factor(self) -> float:
        """What losses are multiplied by, in fp16, before the backward pass."""
        return self._loss_scale.factor if self._loss_scale else 1.0

    def load_moments(self, state: dict[str, Tensor]) -> None:
        """Set what `moments` gave, here on this number of ranks."""
        for own in self._optimizer.state.values():
            own["step"].copy_(state["step"].squeeze())
        for name, parameter in self.module.named_parameters():
            for moment in self._moment_names():
                full = state[f"{name}.{moment}"].to(parameter.device)
                if self._sharded:
                    safe_set_full_optimizer_state(parameter, full, moment)
                else:
                    self._optimizer.state[parameter][moment].copy_(full)
        if self._loss_scale:
            self._loss_scale.load(state["loss_scale"])

    def _materialise_moments(self) -> None:
        """Have the optimiser make its state, as it does at its first step: one that moves nothing.

        So they can be read and set before a first real step, which fp16 may leave out.
        """
        rates = [group["lr"] for group in self._optimizer.param_groups]
        for group in self._optimizer.param_groups:
            group["lr"] = 0.0
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        self._optimizer.step()
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
            for parameter in group["params"]:
                parameter.grad = None
        self.reset_moments()
        if self._sharded:
            link_optimizer_state(self._sharding)

    def _a_state(self) -> dict[str, Tensor]:
        return next(iter(self._optimizer.state.values()))

    def _steps(self) -> int:
        """Steps since the moments were reset. Frozen weights have none, unless they are sharded."""
        return int(torch.stack([own["step"] for own in self._optimizer.state.values()]).max())

    def _full(self, parameter: nn.Parameter, moment: str) -> Tensor:
        """What the optimiser remembers of a parameter, wherever it is kept."""
        if not self._sharded:
            own: Tensor = self._optimizer.state[parameter][moment]
            return own.detach()
        full: Tensor = safe_get_full_optimizer_state(parameter, moment)
        return full.detach()

    def _moment_names(self) -> list[str]:
        """What the optimiser remembers of every weight."""
        return [name for name in self._a_state() if name != "step"]

    def _held_gradients(self) -> list[Tensor]:
        """The gradients, averaged over the ranks, that this rank steps with."""
        if self._sharded:
            return sharded_gradients(self._sharding)
        return [p.grad for p in self.module.parameters() if p.grad is not None]

    def _sum_of_squares(self, held: list[Tensor]) -> Tensor:
        if not held:
            return torch.zeros((), device=self.world.device)
        return torch.stack(torch._foreach_norm(held)).double().square().sum()


def bucket(module: nn.Module, overlap: bool) -> int:
    """Gradients that are sent at once: all of them, or a quarter, so that some can be on their way.

    By default DeepSpeed takes 2 GB for it, 20 times the largest of our networks.
    """
    sizes = [parameter.numel() for parameter in module.parameters()]
    return max(sum(sizes) // 4, *sizes) if overlap else sum(sizes)


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Let gradients flow through modules but not into them, and spare their computation.

    An update moves no such weight, not by a bit, if it has had no gradient since its moments were
    reset: the optimiser leaves it out, or in a shard steps by 0 / (0 + eps).
    """
    for module in modules:
        module.requires_grad_(False)
    try:
        yield
    finally:
        for module in modules:
            module.requires_grad_(True)
