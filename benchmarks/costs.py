"""What each remedy costs in the project's real step: times the paper's step.

The step is the one of realstep.py at 32x32 with narrow networks. Losses, penalties and constraints
stand alone (penalties with the loss of the paper); what is in networks and updates comes on top of
the paper's objective, but for unrolled steps.
"""

from contextlib import ExitStack
from functools import partial
from typing import Any

from rich.table import Table

from measuring import clock, interleaved, machine, ratio
from progan.stages.training.stage import Stage
from realstep import Toys, configuration, one_step, toys

RESOLUTION, BATCH = 32, 16
NARROW = ("model.fmap_max=64", "model.latent=64")
PAPER = "the paper's step"
Words = tuple[str, ...]
ENERGY = "model.discriminator={head: autoencoder, minibatch: none}"


def lone(loss: str, penalty: str = "") -> Words:
    """A loss and at most one penalty."""
    return f"objective.loss={loss}", f"objective.penalties=[{penalty}]"


def beside_wgan(text: str) -> Words:
    """Beside the paper's loss alone."""
    return lone("wgan", "{kind: " + text + "}")


LONE: dict[str, Words] = {
    "wgan": lone("wgan"),
    **{name: lone(name) for name in ("minimax", "nonsaturating", "lsgan", "hinge")},
    **{name: lone("{kind: " + name + "}") for name in ("rgan", "ragan")},
    "fgan": lone("{kind: fgan, divergence: kl}"),
    **{name: (*lone("{kind: " + name + "}"), ENERGY) for name in ("ebgan", "began")},
    **{
        name: beside_wgan(f"{name}, weight: 1")
        for name in ("gradient", "drift", "r1", "r2", "dragan", "orthogonal",
                     "historical_average", "consensus", "feature_matching", "pulling_away",
                     "mode_regularizer")
    },
    "js_regularizer": lone("nonsaturating", "{kind: js_regularizer, weight: 1}"),
    "spectral_norm": beside_wgan("spectral_norm"),
    "weight_clip": beside_wgan("weight_clip"),
    "unrolled: 5": (*lone("nonsaturating"), "objective.unrolled=5"),
}  # fmt: skip
"""Remedies that stand alone"""
ON_TOP: dict[str, Words] = {
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
    "head: infogan": (
        "model.generator.codes={categorical: [10], continuous: 2}",
        "model.discriminator.head=infogan",
    ),
    "critic_steps: 5": ("objective.critic_steps=5",),
    "discriminator_lr": ("optimizer.discriminator_lr=0.002",),
    "rmsprop": ("optimizer={kind: rmsprop}",),
    "replay": ("objective.replay={size: 4096, share: 0.5}",),
}
"""Remedies beside the paper's objective"""


def costs(seconds: float) -> dict[str, Any]:
    """Every remedy's step, timed in turn with the paper's: by name, times its processor time."""
    with toys() as made, ExitStack() as open_data:
        stages = {
            name: _stage(made, words, open_data)
            for name, words in {PAPER: (), **LONE, **ON_TOP}.items()
        }
        actions = {name: partial(one_step, stage) for name, stage in stages.items()}
        device = made.world.device
        taken = interleaved(actions, seconds, clock(device))
        return {
            "machine": machine(device),
            "rounds": len(taken[PAPER]),
            "times": {name: ratio(found, taken[PAPER]) for name, found in taken.items()},
        }


def _stage(made: Toys, words: Words, open_data: ExitStack) -> Stage:
    stage = made.stage(configuration(BATCH, "fp32", (*NARROW, *words)), RESOLUTION)
    open_data.enter_context(stage.batches)
    return stage


def cost_table(found: dict[str, Any]) -> Table:
    """The costs for a person."""
    table = Table(
        title=f"a step at {RESOLUTION}x{RESOLUTION}, times the paper's",
        caption=f"medians of {found['rounds']} rounds on {found['machine']['device']}",
    )
    table.add_column("")
    table.add_column("step", justify="right")
    for name, times in found["times"].items():
        table.add_row(name, f"{times:.2f}")
    return table
