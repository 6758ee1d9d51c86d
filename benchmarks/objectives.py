"""What each remedy does for a game in which its like is lost without it, and what a step costs.

    python benchmarks/objectives.py [--toy ring|grid] [--only NAME ...] [--steps N] [--json]
    python benchmarks/objectives.py --cost [--seconds N] [--json]

The games are those of toy.py; remedies.py says what is compared with what. Over the seeds:
Gaussians of the data that are covered, the share of samples that are good, and how long a step
takes, each with the remedy and without. `--cost` takes the project's real step (costs.py).
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

# torch would look for a GPU at every step, which takes a fifth of a step of the toy's.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
from rich.console import Console
from rich.table import Table

import apart  # noqa: F401
from costs import cost_table, costs
from measuring import keep_memory, show
from progan.stages.distributed.world import detect
from realstep import join
from remedies import REMEDIES
from toy import JUDGED, centres, play


class Game(NamedTuple):
    """What one seed led to."""

    modes: float
    good: float
    seconds: float


class Result(NamedTuple):
    """What a remedy led to."""

    name: str
    beside: str | None
    modes: list[float]
    """Of each seed"""
    good: list[float]
    milliseconds: float
    """Of processor time a step"""


def alone() -> None:
    """Make a process ready for games, of which it plays one at a time."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    play({}, "ring", 2 * JUDGED, 0, join())  # the first steps of a process take longer


def game(name: str, shape: str, steps: int, seed: int) -> Game:
    """Train with one remedy."""
    began = time.thread_time()
    found = play(REMEDIES[name].says, shape, steps, seed, detect())
    return Game(*found, time.thread_time() - began)


def results(names: list[str], shape: str, steps: int, seeds: int, processes: int) -> list[Result]:
    """All remedies by these names, in this order; each game has a process to itself."""
    spawn = multiprocessing.get_context("spawn")
    found = []
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=alone) as pool:
        games = {
            name: [pool.submit(game, name, shape, steps, seed) for seed in range(seeds)]
            for name in names
        }
        for name, futures in games.items():
            modes, good, seconds = zip(*(future.result() for future in futures), strict=True)
            milliseconds = 1000 * statistics.mean(seconds) / steps
            found.append(Result(name, REMEDIES[name].beside, list(modes), list(good), milliseconds))
            print(*found[-1], file=sys.stderr, flush=True)
    return found


def table(found: list[Result], shape: str, steps: int) -> Table:
    """The results for a person: every remedy, and in brackets what it is beside."""
    number = len(centres(shape))
    shown = Table(title=f"{shape} of {number} Gaussians, {steps} steps, means over seeds")
    for heading in ("", "beside", f"modes of {number}", "good samples", "step"):
        shown.add_column(heading, justify="left" if heading in ("", "beside") else "right")
    by_name = {each.name: each for each in found}
    for each in found:
        other = by_name[each.beside] if each.beside else None
        modes = f"{statistics.mean(each.modes):.1f}"
        good = f"{statistics.mean(each.good):.0%}"
        times = ""
        if other:
            modes += f" ({statistics.mean(other.modes):.1f})"
            good += f" ({statistics.mean(other.good):.0%})"
            times = f"{each.milliseconds / other.milliseconds:.2f}"
        shown.add_row(each.name, each.beside or "", modes, good, times)
    return shown


def with_others(names: list[str]) -> list[str]:
    """These remedies and what they are beside, in the order of all."""
    wanted = set(names) | {beside for name in names if (beside := REMEDIES[name].beside)}
    return [name for name in REMEDIES if name in wanted]


def main() -> None:
    """Play, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--toy", choices=("ring", "grid"), default="ring")
    parser.add_argument("--only", nargs="+", choices=tuple(REMEDIES), default=tuple(REMEDIES))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    processes = len(os.sched_getaffinity(0))
    parser.add_argument("--processes", type=int, default=processes, help="that play at once")
    parser.add_argument("--cost", action="store_true", help="of the project's real step, instead")
    parser.add_argument("--seconds", type=float, default=60, help="for --cost, by the clock")
    parser.add_argument("--json", action="store_true", help="one document instead of the table")
    chosen = parser.parse_args()
    if chosen.cost:
        keep_memory()
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        show(costs(chosen.seconds), cost_table, chosen.json)
        return
    names = with_others(chosen.only)
    found = results(names, chosen.toy, chosen.steps, chosen.seeds, chosen.processes)
    if chosen.json:
        print(json.dumps([result._asdict() for result in found], indent=2))
    else:
        Console(width=140).print(table(found, chosen.toy, chosen.steps))


if __name__ == "__main__":
    main()
