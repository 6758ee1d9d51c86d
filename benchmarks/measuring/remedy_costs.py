"""The time of a real training step with each remedy, as a multiple of the paper's step.

The step is that of real_step.py at 32x32 with narrow networks. Losses, penalties and constraints
replace the paper's objective (penalties keep its loss); remedies in the networks and updates are
added to it, but for unrolled steps.
"""

from contextlib import ExitStack
from functools import partial
from typing import Any

from rich.table import Table

from measuring.real_step import StageFactory, configuration, one_step, stage_factory
from measuring.results import machine, new_table
from measuring.timing import clock, interleaved, ratio
from progan.stages.training.stage import Stage

RESOLUTION, BATCH = 32, 16
NARROW = ("model.fmap_max=64", "model.latent=64")
PAPER = "the paper's step"
Overrides = tuple[str, ...]
"""KEY=VALUE words, as on the command line"""
ENERGY = "model.discriminator={head: autoencoder, minibatch: none}"


def objective(loss: str, penalty: str = "") -> Overrides:
    """A loss and at most one penalty."""
    return f"objective.loss={loss}", f"objective.penalties=[{penalty}]"


def wgan_with(penalty: str) -> Overrides:
    """The paper's loss with one other penalty."""
    return objective("wgan", "{kind: " + penalty + "}")


REPLACING: dict[str, Overrides] = {
    "wgan": objective("wgan"),
    **{name: objective(name) for name in ("minimax", "nonsaturating", "lsgan", "hinge")},
    **{name: objective("{kind: " + name + "}") for name in ("rgan", "ragan")},
    "fgan": objective("{kind: fgan, divergence: kl}"),
    **{name: (*objective("{kind: " + name + "}"), ENERGY) for name in ("ebgan", "began")},
    **{
        name: wgan_with(f"{name}, weight: 1")
        for name in ("gradient", "drift", "r1", "r2", "dragan", "orthogonal",
                     "historical_average", "consensus", "gradient_norm", "feature_matching",
                     "pulling_away", "mode_regularizer")
    },
    "js_regularizer": objective("nonsaturating", "{kind: js_regularizer, weight: 1}"),
    "spectral_norm": wgan_with("spectral_norm"),
    "weight_clip": wgan_with("weight_clip"),
    "unrolled: 5": (*objective("nonsaturating"), "objective.unrolled=5"),
}  # fmt: skip
"""Remedies that replace the paper's objective"""
ADDED: dict[str, Overrides] = {
    "minibatch: none": ("model.discriminator.minibatch=none",),
    "minibatch: discrimination": ("model.discriminator.minibatch=discrimination",),
    "attention: [16], both": (
        "model.generator.attention=[16]",
        "model.discriminator.attention=[16]",
    ),
    "generator.norm: batch": ("model.generator.norm=batch",),
    "generator.norm: virtual_batch": ("model.generator.norm=virtual_batch",),
    "discriminator.norm: layer": ("model.discriminator.norm=layer",),
    "critics: 3": ("model.discriminator.critics=3",),
    "representative": (
        "model.representative=encoder",  # a later stage does not read it
        "model.discriminator.representative={resolution: 32, fmap_base: 8192, fmap_max: 64, "
        "sha256: ''}",
    ),
    "generators: 4": ("model.generators=4",),
    "head: infogan": (
        "model.generator.codes={categorical: [10], continuous: 2}",
        "model.discriminator.head=infogan",
    ),
    "critic_steps: 5": ("objective.critic_steps=5",),
    "discriminator_lr": ("optimizer.discriminator_lr=0.002",),
    "rmsprop": ("optimizer={kind: rmsprop}",),
    "sgd": ("optimizer={kind: sgd}",),
    "replay": ("objective.replay={size: 4096, share: 0.5}",),
}
"""Remedies that are added to the paper's objective"""


def remedy_costs(seconds: float) -> dict[str, Any]:
    """Time every remedy's step in turn with the paper's; "times" are ratios of the two, by name."""
    with stage_factory() as factory, ExitStack() as open_data:
        stages = {
            name: _stage(factory, overrides, open_data)
            for name, overrides in {PAPER: (), **REPLACING, **ADDED}.items()
        }
        actions = {name: partial(one_step, stage) for name, stage in stages.items()}
        device = factory.world.device
        timings = interleaved(actions, seconds, clock(device))
        return {
            "machine": machine(device),
            "rounds": len(timings[PAPER]),
            "times": {name: ratio(each, timings[PAPER]) for name, each in timings.items()},
        }


def _stage(factory: StageFactory, overrides: Overrides, open_data: ExitStack) -> Stage:
    stage = factory.stage(configuration(BATCH, "fp32", (*NARROW, *overrides)), RESOLUTION)
    open_data.enter_context(stage.batches)
    return stage


def cost_table(document: dict[str, Any]) -> Table:
    """One row a remedy."""
    title = f"a step at {RESOLUTION}x{RESOLUTION}, times the paper's"
    caption = f"medians of {document['rounds']} rounds on {document['machine']['device']}"
    table = new_table(("", "step"), title, caption, text_columns=1)
    for name, times in document["times"].items():
        table.add_row(name, f"{times:.2f}")
    return table
