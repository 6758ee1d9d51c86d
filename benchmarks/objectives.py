"""What each remedy does for a toy GAN that fails without it, and what it costs a step.

    python benchmarks/objectives.py [--toy ring|grid] [--only NAME ...] [--steps N] [--json]
    python benchmarks/objectives.py --cost [--seconds N] [--json]

toy_gan/game.py trains; toy_gan/remedies.py lists remedies and baselines. Shown, with the remedy and
without: covered Gaussians and the share of good samples, each as mean over seeds (least-most), and
the time of a step. A remedy helps if its worst seed covers more Gaussians than its baseline's best.
The first row is what fresh reals score: no generator can do better. `--cost` times the project's
real step instead (measuring/remedy_costs.py).
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

# torch would look for a GPU at every step, which takes a fifth of the toy's step.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
from rich.table import Table

import measuring.deepspeed_to_stderr  # noqa: F401
from measuring.real_step import join_process_group
from measuring.remedy_costs import cost_table, remedy_costs
from measuring.results import new_table, print_tables, show
from measuring.seeds import helps, spread
from measuring.timing import keep_memory
from progan.stages.distributed.world import detect
from toy_gan.game import NUM_SCORES, centres, score_reals, train_toy
from toy_gan.remedies import REMEDIES


class Game(NamedTuple):
    """The result of one seed."""

    modes: float
    good: float
    seconds: float
    """Of processor time"""


class Result(NamedTuple):
    """The results of a remedy."""

    name: str
    baseline: str | None
    modes: list[float]
    """Of each seed"""
    good: list[float]
    milliseconds: float
    """Of processor time a step; 0 for reals"""


REALS = "reals"
"""Name of the result of fresh reals"""


def prepare_process() -> None:
    """Make a process ready to train, one game at a time."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    # The first steps of a process take longer.
    train_toy({}, "ring", 2 * NUM_SCORES, 0, join_process_group())


def train(name: str, shape: str, steps: int, seed: int) -> Game:
    """Train with one remedy."""
    start = time.thread_time()
    score = train_toy(REMEDIES[name].fields, shape, steps, seed, detect())
    return Game(*score, time.thread_time() - start)


def train_all(names: list[str], shape: str, steps: int, seeds: int, processes: int) -> list[Result]:
    """Train with these remedies, several at once; the results in the order of the names."""
    spawn = multiprocessing.get_context("spawn")
    modes, good = zip(*(score_reals(shape, seed) for seed in range(seeds)), strict=True)
    results = [Result(REALS, None, list(modes), list(good), 0.0)]
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=prepare_process) as pool:
        games = {
            name: [pool.submit(train, name, shape, steps, seed) for seed in range(seeds)]
            for name in names
        }
        for name, futures in games.items():
            modes, good, seconds = zip(*(future.result() for future in futures), strict=True)
            milliseconds = 1000 * statistics.mean(seconds) / steps
            baseline = REMEDIES[name].baseline
            results.append(Result(name, baseline, list(modes), list(good), milliseconds))
            print(*results[-1], file=sys.stderr, flush=True)
    return results


def result_table(results: list[Result], shape: str, steps: int) -> Table:
    """One row a remedy, with its baseline's figures beside its own."""
    number = len(centres(shape))
    table = new_table(
        ("", "baseline", f"modes of {number}", "without", "good, %", "without", "step", "helps"),
        title=f"{shape} of {number} Gaussians, {steps} steps, means over seeds (least-most)",
        text_columns=2,
    )
    by_name = {result.name: result for result in results}
    for result in results:
        modes, good = spread(result.modes), spread(result.good, 100, 0)
        if result.baseline is None:
            table.add_row(result.name, "", modes, "", good, "", "", "")
            continue
        baseline = by_name[result.baseline]
        table.add_row(
            result.name,
            result.baseline,
            modes,
            spread(baseline.modes),
            good,
            spread(baseline.good, 100, 0),
            f"{result.milliseconds / baseline.milliseconds:.2f}",
            helps(result.modes, baseline.modes),
        )
    return table


def with_baselines(names: list[str]) -> list[str]:
    """These remedies and their baselines, in the order of REMEDIES."""
    chosen = set(names) | {REMEDIES[name].baseline for name in names}
    return [name for name in REMEDIES if name in chosen]


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--toy", choices=("ring", "grid"), default="ring")
    parser.add_argument("--only", nargs="+", choices=tuple(REMEDIES), default=tuple(REMEDIES))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    processes = len(os.sched_getaffinity(0))
    parser.add_argument("--processes", type=int, default=processes, help="that train at once")
    parser.add_argument("--cost", action="store_true", help="of the project's real step, instead")
    parser.add_argument("--seconds", type=float, default=60, help="for --cost, by the clock")
    parser.add_argument("--json", action="store_true", help="one document instead of the table")
    chosen = parser.parse_args()
    if chosen.cost:
        keep_memory()
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        show(remedy_costs(chosen.seconds), cost_table, chosen.json)
        return
    names = with_baselines(chosen.only)
    results = train_all(names, chosen.toy, chosen.steps, chosen.seeds, chosen.processes)
    if chosen.json:
        print(json.dumps([result._asdict() for result in results], indent=2))
    else:
        print_tables(result_table(results, chosen.toy, chosen.steps))


if __name__ == "__main__":
    main()
