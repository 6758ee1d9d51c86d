"""How long a training step takes, and how close that is to what the machine can do.

    python benchmarks/step.py [--resolutions 4 8 16 32 64] [--precisions fp32 bf16] [--batch 16]
    python benchmarks/step.py objective.penalties='[{kind: r1, weight: 10, interval: 16}]'
    python benchmarks/step.py --peers DIR
    python benchmarks/step.py --json > RESULTS.json
    python benchmarks/step.py --against RESULTS.json

The step is that of training (discriminator, generator, average; with engines, checks and data
loading), at the paper's widths and alpha 0.5; key=value words are those of `progan train`. It is
compared with the same step on bare torch, without DeepSpeed, and with `--peers` with the steps of
other programs, from a folder with checkouts of them (measuring/peers.py). With `--against`, exit
code 1 says that a step takes over 10 % longer than before, both relative to a convolution timed in
turn with it. How to read the table: benchmarks/README.md.
"""

import argparse
import math
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

import measuring.deepspeed_to_stderr  # noqa: F401
from measuring.peers import PEERS, peers
from measuring.real_step import (
    StageFactory,
    configuration,
    count_flop,
    one_step,
    peak_bytes,
    stage_factory,
    without_deepspeed,
)
from measuring.results import machine, new_table, read_results, show
from measuring.timing import (
    clock,
    interleaved,
    keep_memory,
    matrix_product,
    ratio,
    reference_convolution,
)
from progan.stages.specs.penalties import Penalties, Penalty
from progan.stages.training.stage import Stage

TOLERANCE = 1.10
REFERENCE = "reference convolution"


def intervals(penalties: Penalties) -> list[int]:
    """The intervals of the penalties."""
    return [each.interval for each in penalties if isinstance(each, Penalty)]


def measure(
    factory: StageFactory, resolution: int, precision: str, arguments: argparse.Namespace
) -> Any:
    """One row: a resolution at a precision."""
    batch = arguments.batch
    config = configuration(batch, precision, tuple(arguments.overrides))
    stage = factory.stage(config, resolution)
    device = stage.world.device
    gemm, gemm_flop = matrix_product(precision, device)
    # With penalties that have an interval, one action is as many steps as their cycle.
    period = math.lcm(*intervals(stage.spec.objective.penalties))
    actions = {
        "progan": lambda: take_steps(stage, period),
        REFERENCE: reference_convolution(device),
    }
    flop = peak = 0
    with stage.batches:
        for _ in range(period):
            flop += count_flop(stage)
            stage.position += batch
        peak = peak_bytes(stage)
        if not arguments.only:
            bare = without_deepspeed(stage)
            actions |= {"bare": lambda: take_steps(bare, period), "gemm": gemm}
        if arguments.peers:
            actions |= peers(arguments.peers, resolution, batch)
        timings = interleaved(actions, arguments.seconds, clock(device))
    ours, per_picture = timings["progan"], 1000 / (batch * period)
    row = {
        "resolution": resolution,
        "precision": precision,
        "batch": batch,
        "overrides": sorted(arguments.overrides),
        "rounds": len(ours),
        "ms_per_picture": statistics.median(ours) * per_picture,
        "against_reference": ratio(ours, timings[REFERENCE]) / period,
        "gflop_per_picture": flop / 1e9 / (batch * period),
        "peak_bytes": peak,
    }
    if "bare" in timings:
        speed = [gemm_flop / seconds for seconds in timings["gemm"]]
        row["bare_ms_per_picture"] = statistics.median(timings["bare"]) * per_picture
        row["overhead"] = ratio(ours, timings["bare"]) - 1
        row["gemm_gflop_per_second"] = statistics.median(speed) / 1e9
        row["share_of_gemm"] = flop / gemm_flop / ratio(ours, timings["gemm"])
    for name in set(timings) & set(PEERS):
        row[name] = {
            "ms_per_picture": statistics.median(timings[name]) * 1000 / batch,
            "times_ours": period * ratio(timings[name], ours),
        }
    return row


def take_steps(stage: Stage, steps: int) -> None:
    """Several steps; the stage's position advances, its images_seen does not."""
    for _ in range(steps):
        one_step(stage)
        stage.position += stage.spec.batch


def step_table(document: dict[str, Any]) -> Table:
    """One row a resolution and precision."""
    names = sorted({name for row in document["rows"] for name in row} & set(PEERS))
    facts = document["machine"]
    table = new_table(
        ("size", "precision", "batch", "ms a picture", "GFLOP", "of GEMM", "DeepSpeed", "reference",
         "MiB", *names),
        title=f"one step, {facts['threads']} threads of {facts['device']}",
        caption="DeepSpeed: time over bare torch; GEMM: share of a matrix product's FLOP/s; "
        "reference: times a convolution",
    )  # fmt: skip
    for row in document["rows"]:
        table.add_row(
            str(row["resolution"]),
            row["precision"],
            str(row["batch"]),
            f"{row['ms_per_picture']:.4g}",
            f"{row['gflop_per_picture']:.4g}",
            f"{row['share_of_gemm']:.0%}" if "share_of_gemm" in row else "",
            f"{row['overhead']:+.1%}" if "overhead" in row else "",
            f"{row['against_reference']:.2f}",
            f"{row['peak_bytes'] / 2**20:,.0f}",
            *(peer_cell(row.get(name)) for name in names),
        )
    return table


def peer_cell(peer: dict[str, float] | None) -> str:
    """A peer's time, and its ratio to ours in brackets."""
    return f"{peer['ms_per_picture']:.4g} ({peer['times_ours']:.2f}x)" if peer else ""


def slower_rows(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """A line for every row of `new` that takes over 10 % longer than the same row of `old`.

    Both relative to the reference convolution of their own run, so that the machines may differ
    in speed, but not in kind.
    """
    before = {row_key(row): row["against_reference"] for row in old["rows"]}
    lines = []
    for row in new["rows"]:
        times = row["against_reference"] / before.get(row_key(row), math.inf)
        if times > TOLERANCE:
            size = f"{row['resolution']}x{row['resolution']}"
            lines.append(f"{size} {row['precision']} batch {row['batch']}: {times:.2f} times")
    return lines


def comparable(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether any row of the two is of the same step."""
    return bool({row_key(row) for row in new["rows"]} & {row_key(row) for row in old["rows"]})


def row_key(row: dict[str, Any]) -> str:
    """Equal for rows that measure the same step."""
    return str([row[key] for key in ("resolution", "precision", "batch", "overrides")])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[4, 8, 16, 32, 64])
    parser.add_argument("--precisions", nargs="+", default=["fp32"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1, help="on a CPU")
    parser.add_argument("--seconds", type=float, default=20, help="of each row, by the clock")
    parser.add_argument("--peers", type=Path, help="folder with checkouts of other programs")
    parser.add_argument("--only", action="store_true", help="our step and the reference alone")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--against", type=Path, metavar="RESULTS.json", help="what --json printed")
    arguments = parser.parse_args()
    old = read_results(arguments.against) if arguments.against else None
    keep_memory()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    with stage_factory() as factory:
        rows = [
            measure(factory, resolution, precision, arguments)
            for precision in arguments.precisions
            for resolution in arguments.resolutions
        ]
        document = {"machine": machine(factory.world.device), "rows": rows}
    show(document, step_table, arguments.json)
    if old:
        if not comparable(document, old):
            sys.exit(f"{arguments.against}: no row of the same resolution, precision and batch")
        if slower := slower_rows(document, old):
            sys.exit("slower than in " + str(arguments.against) + ": " + "; ".join(slower))


if __name__ == "__main__":
    main()
