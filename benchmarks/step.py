"""How long a training step takes, and how close that is to what the machine can do.

    python benchmarks/step.py [--resolutions 4 8 16 32 64] [--precisions fp32 bf16] [--batch 16]
    python benchmarks/step.py objective.penalties='[{kind: r1, weight: 10, interval: 16}]'
    python benchmarks/step.py --peers DIR
    python benchmarks/step.py --json > RESULTS.json
    python benchmarks/step.py --against RESULTS.json

The step is the one that training takes (discriminator, generator, average; engines, checks and the
reader of pictures included), at the paper's widths and half faded in; key=value words are those of
`progan train`. Beside it: the same step on bare torch, without DeepSpeed, and with `--peers` those
of other programs, from a folder with checkouts of them (peers.py). With `--against`, exit code 1
says that a step takes over 10 % more than it did, both relative to a convolution timed in turn with
it. How to read the table: benchmarks/README.md.
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

import apart  # noqa: F401
from measuring import (
    clock,
    interleaved,
    keep_memory,
    machine,
    product,
    ratio,
    read_results,
    reference_convolution,
    show,
)
from peers import peers
from progan.stages.specs.penalties import Penalties, Penalty
from progan.stages.training.stage import Stage
from realstep import Toys, bare, configuration, count_flop, one_step, peak_bytes, toys

SLOWER = 1.10
REFERENCE = "reference convolution"


def intervals(penalties: Penalties) -> list[int]:
    """Updates between those that have a penalty."""
    return [each.interval for each in penalties if isinstance(each, Penalty)]


def measure(toys: Toys, resolution: int, precision: str, arguments: argparse.Namespace) -> Any:
    """One row: a resolution at a precision."""
    batch = arguments.batch
    config = configuration(batch, precision, tuple(arguments.overrides))
    stage = toys.stage(config, resolution)
    device = stage.world.device
    gemm, gemm_flop = product(precision, device)
    # A penalty that is not in every step: as many steps as it takes for all to have been.
    period = math.lcm(*intervals(stage.spec.objective.penalties))
    actions = {"progan": lambda: several(stage, period), REFERENCE: reference_convolution(device)}
    flop = peak = 0
    with stage.batches:
        for _ in range(period):
            flop += count_flop(stage)
            stage.position += batch
        peak = peak_bytes(stage)
        if not arguments.only:
            twin = bare(stage)
            actions |= {"bare": lambda: several(twin, period), "gemm": gemm}
        if arguments.peers:
            actions |= peers(arguments.peers, resolution, batch)
        taken = interleaved(actions, arguments.seconds, clock(device))
    ours, per_picture = taken["progan"], 1000 / (batch * period)
    row = {
        "resolution": resolution,
        "precision": precision,
        "batch": batch,
        "overrides": sorted(arguments.overrides),
        "rounds": len(ours),
        "ms_per_picture": statistics.median(ours) * per_picture,
        "against_reference": ratio(ours, taken[REFERENCE]) / period,
        "gflop_per_picture": flop / 1e9 / (batch * period),
        "peak_bytes": peak,
    }
    if "bare" in taken:
        speed = [gemm_flop / seconds for seconds in taken["gemm"]]
        row["bare_ms_per_picture"] = statistics.median(taken["bare"]) * per_picture
        row["overhead"] = ratio(ours, taken["bare"]) - 1
        row["gemm_gflop_per_second"] = statistics.median(speed) / 1e9
        row["share_of_gemm"] = flop / gemm_flop / ratio(ours, taken["gemm"])
    for name in set(taken) & {"pytorch_GAN_zoo", "pro_gan_pytorch"}:
        row[name] = {
            "ms_per_picture": statistics.median(taken[name]) * 1000 / batch,
            "times_ours": period * ratio(taken[name], ours),
        }
    return row


def several(stage: Stage, steps: int) -> None:
    """So many steps one after the other; only the position moves on."""
    for _ in range(steps):
        one_step(stage)
        stage.position += stage.spec.batch


def step_table(document: dict[str, Any]) -> Table:
    """The rows for a person."""
    names = sorted({name for row in document["rows"] for name in row} & {
        "pytorch_GAN_zoo", "pro_gan_pytorch"
    })  # fmt: skip
    facts = document["machine"]
    table = Table(
        title=f"one step, {facts['threads']} threads of {facts['device']}",
        caption="DeepSpeed: time over bare torch; GEMM: share of a matrix product's FLOP/s; "
        "reference: times a convolution",
    )
    headings = ["size", "precision", "batch", "ms a picture", "GFLOP", "of GEMM", "DeepSpeed",
                "reference", "MiB", *names]  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="right")
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
    """A peer's time, and how many times ours it is."""
    return f"{peer['ms_per_picture']:.4g} ({peer['times_ours']:.2f}x)" if peer else ""


def slower(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """A line for every row of `new` that takes over 10 % more than the same row of `old`.

    Both relative to the reference convolution of their own run, so that the machines may differ
    in speed, though not in what they are.
    """
    key = "resolution", "precision", "batch", "overrides"
    before = {str([row[k] for k in key]): row["against_reference"] for row in old["rows"]}
    found = []
    for row in new["rows"]:
        was = before.get(str([row[k] for k in key]))
        if was and row["against_reference"] > SLOWER * was:
            times = row["against_reference"] / was
            size = f"{row['resolution']}x{row['resolution']}"
            found.append(f"{size} {row['precision']} batch {row['batch']}: {times:.2f} times")
    return found


def comparable(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether any row of the two is of the same step."""
    key = "resolution", "precision", "batch", "overrides"
    rows = [{str([row[k] for k in key]) for row in found["rows"]} for found in (new, old)]
    return bool(rows[0] & rows[1])


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
    with toys() as made:
        rows = [
            measure(made, resolution, precision, arguments)
            for precision in arguments.precisions
            for resolution in arguments.resolutions
        ]
        document = {"machine": machine(made.world.device), "rows": rows}
    show(document, step_table, arguments.json)
    if old:
        if not comparable(document, old):
            sys.exit(f"{arguments.against}: no row of the same resolution, precision and batch")
        if found := slower(document, old):
            sys.exit("slower than in " + str(arguments.against) + ": " + "; ".join(found))


if __name__ == "__main__":
    main()
