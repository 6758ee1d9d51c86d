"""One network under DeepSpeed: backward, gradient norm, step, optimizer state.

Passes call the bare modules; each loss goes to the engine of the network it updates. Calling one
network's engine inside the other's update would fire its gradient hooks, which DeepSpeed refuses.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import deepspeed
import torch
from deepspeed.utils import safe_set_full_optimizer_state
from torch import Tensor, nn

from progan.stages.distributed.world import World
from progan.stages.engine.deepspeed_private import (
    copy_own_moment,
    link_optimizer_state,
    master_fragment,
    sharded_gradients,
)
from progan.stages.engine.loss_scale import LossScale
from progan.stages.engine.optimizers import Moments, make_optimizer, reset_moments
from progan.stages.engine.update import NOTHING_PIGGYBACKED, SQUARES, Objective, StepId, Update
from progan.stages.specs.stage import StageSpec

Name = Literal["generator", "discriminator"]


class Engine:
    """Updates one module on all ranks, from the weights that the module has at construction."""

    def __init__(self, name: Name, module: nn.Module, spec: StageSpec, world: World) -> None:
        self.name = name
        self.module = module
        self.world = world
        self._micro_batches = spec.batch // world.size // spec.rank_micro_batch(world.size)
        optimizer = make_optimizer(module.parameters(), spec.rates[name], spec.optimizer)
        sharding = spec.engine.sharding(world.size)
        self._loss_scale = LossScale() if spec.engine.precision == "fp16" else None
        config = {
            # progan does not use it, but DeepSpeed does not start without a batch size.
            "train_micro_batch_size_per_gpu": 1,
            "gradient_accumulation_steps": self._micro_batches,
            "steps_per_print": 2**62,
            "gradient_clipping": 0.0,  # DeepSpeed's default is to clip, at a norm of 1
            "zero_allow_untested_optimizer": True,  # RMSProp and SGD are tested by us
            "timers": {"throughput": {"enabled": False}},  # it waits for the device
            "zero_optimization": {
                "stage": sharding,
                # The host reads it, every step. In fp16 it is what skips overflows.
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
        self._alone = world.size == 1 and not self._sharded
        self._engine.enable_backward_allreduce = not self._alone
        self._materialise_moments()

    def update(
        self,
        objectives: Iterable[Objective],
        step_id: StepId,
        piggybacked: Mapping[str, float] = NOTHING_PIGGYBACKED,
    ) -> Update:
        """Take one optimizer step on the mean of the objectives, one for each micro-batch.

        They are consumed one by one, so that a lazy iterable keeps one micro-batch in memory. The
        result is read later, so that the host does not wait for the device: the mean over
        micro-batches and ranks of each of their scalars, and the norm of the mean gradient. Whether
        these are finite is checked then. In fp16 the host waits, since a gradient that overflows
        lowers the loss scale and skips the step. `piggybacked` are numbers of this rank whose means
        over the ranks come back too: one all-reduce serves all.
        """
        scalars = self._backward(objectives, step_id)
        held = self._held_gradients()
        if self._loss_scale and held:  # a rank may own no weights
            torch._foreach_mul_(held, 1 / self._loss_scale.factor)
        # Sharded squares add up over the ranks; unsharded ones are the same on each.
        shards = self.world.size if self._sharded else 1
        sent = scalars | {SQUARES: self._sum_of_squares(held) * shards}
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
            # Sharded optimizers skip such a step by themselves, others if there are no gradients.
            self.module.zero_grad(set_to_none=True)
        elif self._alone:
            self._add_missing_gradients()
        self._engine.step()
        if self._loss_scale:
            self._loss_scale.update(overflow)
        return update

    def _backward(self, objectives: Iterable[Objective], step_id: StepId) -> dict[str, Tensor]:
        """Accumulate gradients over the micro-batches; returns this rank's mean scalars."""
        scalars: dict[str, Tensor] = {}
        for index, objective in enumerate(objectives, start=1):
            self.world.watchdog.arrive(str(step_id))
            self._engine.set_gradient_accumulation_boundary(index == self._micro_batches)
            loss = objective.loss
            self._engine.backward(loss * self.loss_factor)
            for name, value in objective.scalars.items():
                part = value.double() / self._micro_batches
                scalars[name] = scalars[name] + part if name in scalars else part
        return scalars

    @torch.no_grad()
    def clip(self, bounds: dict[str, float]) -> None:
        """Clamp each parameter to +-its bound, ZeRO's master copies too."""
        for name, parameter in self.module.named_parameters():
            parameter.clamp_(-bounds[name], bounds[name])
            fragment = master_fragment(parameter)
            if fragment is not None:
                fragment.clamp_(-bounds[name], bounds[name])

    def reset_moments(self) -> None:
        """Reset the optimizer's moments and step count to 0."""
        reset_moments(self._optimizer)

    def moments(self) -> dict[str, Tensor]:
        """The whole optimizer state on every rank's CPU, by `<parameter>.<moment>` and `step`.

        Independent of the number of ranks and the ZeRO stage. All ranks must call it.
        """
        self.world.watchdog.arrive()
        state = {"step": self._steps().cpu().reshape(1)}
        named = dict(self.module.named_parameters())
        sizes = [parameter.numel() for parameter in named.values()]
        for moment, flat in self._whole_moments().items():
            parts = torch.split(flat.cpu(), sizes)
            for (name, parameter), part in zip(named.items(), parts, strict=True):
                state[f"{name}.{moment}"] = part.reshape(parameter.shape).clone()
        if self._loss_scale:
            state["loss_scale"] = self._loss_scale.state()
        return state

    def flat_moments(self) -> Moments:
        """The same on the device, flattened, for unrolled steps. All ranks must call it."""
        self.world.watchdog.arrive()
        return Moments(self._steps().double(), self._whole_moments())

    @property
    def loss_factor(self) -> float:
        """The loss scale in fp16, else 1."""
        return self._loss_scale.factor if self._loss_scale else 1.0

    def load_moments(self, state: dict[str, Tensor]) -> None:
        """Restore what `moments` gave, on any number of ranks.

        State of another precision has no loss scale: it starts at its initial value.
        """
        for own in self._optimizer.state.values():
            own["step"].copy_(state["step"].squeeze())
        for name, parameter in self.module.named_parameters():
            for moment in self._moment_names():
                full = state[f"{name}.{moment}"].to(parameter.device)
                if self._sharded:
                    safe_set_full_optimizer_state(parameter, full, moment)
                else:
                    self._optimizer.state[parameter][moment].copy_(full)
        if self._loss_scale and "loss_scale" in state:
            self._loss_scale.load(state["loss_scale"])

    def _materialise_moments(self) -> None:
        """Have the optimizer create its state by a step with learning rate 0.

        So that it can be read and set before the first real step, which fp16 may skip.
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

    def _any_state(self) -> dict[str, Tensor]:
        return next(iter(self._optimizer.state.values()))

    def _steps(self) -> Tensor:
        """Steps since the moments were reset, () on the device.

        Frozen weights have none, unless they are sharded.
        """
        return torch.stack([own["step"] for own in self._optimizer.state.values()]).max()

    def _whole_moments(self) -> dict[str, Tensor]:
        """A copy of every moment of all parameters, (P,); one collective if they are sharded."""
        names, parameters = self._moment_names(), list(self.module.parameters())
        whole = torch.zeros(
            len(names), sum(p.numel() for p in parameters), device=self.world.device
        )
        for moment, flat in zip(names, whole, strict=True):
            parts = torch.split(flat, [p.numel() for p in parameters])
            for parameter, part in zip(parameters, parts, strict=True):
                if self._sharded:
                    copy_own_moment(parameter, moment, part)
                else:
                    part.copy_(self._optimizer.state[parameter][moment].flatten())
        if self._sharded:  # every element is on one rank, and 0 on the others
            self.world.all_reduce_sum(whole)
        return dict(zip(names, whole, strict=True))

    def _add_missing_gradients(self) -> None:
        """Gradients of 0 for weights that took no part, as DeepSpeed's reduction adds them."""
        for parameter in self.module.parameters():
            if parameter.requires_grad and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    def _moment_names(self) -> list[str]:
        """The moments that the optimizer keeps of every weight."""
        return [name for name in self._any_state() if name != "step"]

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
    """Elements per all-reduce bucket: all, or a quarter so that communication can overlap.

    DeepSpeed's default takes 2 GB, 20 times the largest of our networks.
    """
    sizes = [parameter.numel() for parameter in module.parameters()]
    return max(sum(sizes) // 4, *sizes) if overlap else sum(sizes)
