"""How long a run takes, computed from the times of its steps.

    python benchmarks/schedule.py celebahq-1024-1gpu --measured RESULTS.json [--ranks 1]
    python benchmarks/schedule.py cifar10-32 growth.fade_kimg=300 --ms 4=30 8=130 16=420 32=1700

RESULTS.json is what `step.py --json` printed on the machine in question; its rows at the
configuration's precision count. The sum is of steps alone: samples, metrics and the start of each
stage are not included. `--share` is the ranks' share of the ideal speed-up (benchmarks/scaling.py).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.table import Table

from measuring.results import new_table, read_results, show
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.plan.plan import growth_spec

SECONDS_AN_HOUR = 3600


def measured(results: dict[str, Any], precision: str) -> dict[int, float]:
    """Milliseconds a picture by resolution, from rows without overrides at the largest batch."""
    rows = [r for r in results["rows"] if r["precision"] == precision and not r["overrides"]]
    rows.sort(key=lambda row: int(row["batch"]))
    return {row["resolution"]: row["ms_per_picture"] for row in rows}


def schedule(
    config: RunConfig, ms_per_picture: dict[int, float], ranks: int, share: float
) -> dict[str, Any]:
    """Hours of every stage whose milliseconds a picture are given, and their sum.

    `share`: of the ideal speed-up by `ranks`.
    """
    stages = []
    for resolution in config.resolutions:
        kimg = growth_spec(config.growth, resolution).total_images / 1000
        ms = ms_per_picture.get(resolution)
        hours = ms * kimg / (ranks * share * SECONDS_AN_HOUR) if ms is not None else None
        stages.append(
            {"resolution": resolution, "kimg": kimg, "ms_per_picture": ms, "hours": hours}
        )
    known = [stage["hours"] for stage in stages if stage["hours"] is not None]
    unknown = [stage["resolution"] for stage in stages if stage["hours"] is None]
    return {
        "ranks": ranks,
        "share": share,
        "stages": stages,
        "hours": sum(known),
        "not_measured": unknown,
    }


def schedule_table(document: dict[str, Any]) -> Table:
    """One row a stage."""
    caption = f"{document['ranks']} ranks at {document['share']:.0%} of ideal; steps alone"
    if document["not_measured"]:
        caption += f"; without {', '.join(map(str, document['not_measured']))}: not measured"
    headings = ("stage", "kimg", "ms a picture", "hours")
    table = new_table(headings, f"{document['hours']:,.1f} hours", caption)
    for stage in document["stages"]:
        is_known = stage["hours"] is not None
        table.add_row(
            str(stage["resolution"]),
            f"{stage['kimg']:,g}",
            f"{stage['ms_per_picture']:.4g}" if is_known else "?",
            f"{stage['hours']:,.2f}" if is_known else "?",
        )
    return table


def parse_milliseconds(words: list[str]) -> dict[int, float]:
    """`32=1.5` words as milliseconds by resolution."""
    pairs = (word.partition("=") for word in words)
    return {int(resolution): float(ms) for resolution, _, ms in pairs}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", help="YAML file or preset")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--measured", type=Path, metavar="RESULTS.json")
    parser.add_argument("--ms", nargs="+", default=[], metavar="RESOLUTION=MS")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    config = load_config(arguments.config, tuple(arguments.overrides))
    precision = config.engine.precision
    times = measured(read_results(arguments.measured), precision) if arguments.measured else {}
    times |= parse_milliseconds(arguments.ms)
    if not set(times) & set(config.resolutions):
        sys.exit(f"no time a picture at {precision} for any stage: --measured or --ms say them")
    document = schedule(config, times, arguments.ranks, arguments.share)
    show(document, schedule_table, arguments.json)


if __name__ == "__main__":
    main()
