"""What each remedy does for a game that plain minimax loses (see toy.py).

    python benchmarks/objectives.py [--toy ring|grid] [--only NAME ...] [--steps N] [--json]

For each, over the seeds: Gaussians of the data that are covered, the share of samples that are
good, and how long a step takes beside plain minimax's. A remedy is what a configuration would say.
"""

import argparse
import json
import statistics
import sys
import time
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from progan.stages.spec import ObjectiveSpec
from progan.stages.spec_optimizers import OptimizerSpec
from toy import BATCH, Game, centres

ADAM = {"beta1": 0.5, "beta2": 0.999}
RATE = 0.002


def objective(**changes: Any) -> dict[str, Any]:
    """Plain minimax, but for what is given."""
    return {"objective": {"loss": "minimax", "penalties": ()} | changes}


def penalised(kind: str, weight: float, **keys: Any) -> dict[str, Any]:
    """Minimax with one penalty."""
    return objective(penalties=[{"kind": kind, "weight": weight, **keys}])


REMEDIES: dict[str, dict[str, Any]] = {
    "minimax": objective(),
    "minimax, labels smoothed": objective(loss={"kind": "minimax", "smoothing": 0.1}),
    "nonsaturating": objective(loss="nonsaturating"),
    "lsgan": objective(loss="lsgan"),
    "hinge": objective(loss="hinge"),
    "rgan": objective(loss={"kind": "rgan"}),
    "ragan": objective(loss={"kind": "ragan"}),
    **{
        f"fgan {divergence}": objective(loss={"kind": "fgan", "divergence": divergence})
        for divergence in ("kl", "reverse_kl", "pearson", "neyman", "squared_hellinger",
                           "jensen_shannon", "total_variation")
    },
    "wgan-gp": objective(loss="wgan", penalties=[{"kind": "gradient", "weight": 1}]),
    "minimax + gradient": penalised("gradient", 1),
    "minimax + gradient, one-sided": penalised("gradient", 1, one_sided=True),
    "minimax + r1": penalised("r1", 1),
    "minimax + r2": penalised("r2", 1),
    "minimax + js_regularizer": penalised("js_regularizer", 1),
    "minimax + mode_regularizer": penalised("mode_regularizer", 1),
    "nonsaturating + mode_regularizer": objective(
        loss="nonsaturating", penalties=[{"kind": "mode_regularizer"}]
    ),
    "minimax, critic_steps 5": objective(critic_steps=5),
    "minimax, two rates": objective() | {"discriminator_lr": 2 * RATE},
    "minimax, unrolled 5": objective(unrolled=5),
    "minimax, replay": objective(replay={"size": 100 * BATCH, "share": 0.5}),
    "nonsaturating, two rates": objective(loss="nonsaturating") | {"discriminator_lr": 2 * RATE},
    "nonsaturating, unrolled 2": objective(loss="nonsaturating", unrolled=2),
    "minimax, rmsprop": objective() | {"optimizer": {"kind": "rmsprop"}, "lr": RATE / 4},
}  # fmt: skip
"""By name, what a configuration would say"""


class Result(NamedTuple):
    """What a remedy led to."""

    name: str
    modes: list[int]
    """Of each seed"""
    good: list[float]
    milliseconds: float
    """Of processor time a step and seed"""


def play(name: str, toy: str, steps: int, seeds: int) -> Result:
    """Train with one remedy."""
    says = REMEDIES[name]
    lr = says.get("lr", RATE)
    game = Game(
        toy,
        ObjectiveSpec.model_validate(says["objective"]),
        TypeAdapter(OptimizerSpec).validate_python(says.get("optimizer", ADAM)),
        lr,
        says.get("discriminator_lr", lr),
        seeds,
    )
    began = time.process_time()
    scores = game.play(steps)
    milliseconds = 1000 * (time.process_time() - began) / steps / seeds
    return Result(name, [s.modes for s in scores], [s.good for s in scores], milliseconds)


def table(results: list[Result], toy: str, steps: int) -> Table:
    """The results for a person."""
    modes = len(centres(toy))
    found = Table(title=f"{toy} of {modes} Gaussians, {steps} steps, means over seeds (min-max)")
    for heading in ("", f"modes of {modes}", "good samples", "ms a step"):
        found.add_column(heading, justify="right" if heading else "left")
    for result in results:
        found.add_row(
            result.name,
            f"{statistics.mean(result.modes):.1f} ({min(result.modes)}-{max(result.modes)})",
            f"{statistics.mean(result.good):.0%} ({min(result.good):.0%}-{max(result.good):.0%})",
            f"{result.milliseconds:.1f}",
        )
    return found


def main() -> None:
    """Play, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--toy", choices=("ring", "grid"), default="ring")
    parser.add_argument("--only", nargs="+", choices=tuple(REMEDIES), default=tuple(REMEDIES))
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one document instead of the table")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for name in chosen.only:
        results.append(play(name, chosen.toy, chosen.steps, chosen.seeds))
        print(*results[-1], file=sys.stderr, flush=True)
    if chosen.json:
        print(json.dumps([result._asdict() for result in results], indent=2))
    else:
        Console().print(table(results, chosen.toy, chosen.steps))


if __name__ == "__main__":
    main()
