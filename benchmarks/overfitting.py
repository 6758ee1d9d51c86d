"""Does a discriminator learn a small data set by heart, and when does augmentation help?

    python benchmarks/overfitting.py FEW ALL --resolution 16 --kimg 300 --every 20 --output DIR \\
        --recipe "plain=recommended-32" --recipe "diffaugment=recommended-32 augment=diffaugment"

FEW and ALL are data sets: the pictures to train on, and many of the same kind. Each recipe (as for
quality.py) is trained at one resolution on FEW. The table has a row every `--every` kimg: the FID
of the averaged generator's pictures against ALL (measuring/judge.py), and the discriminator's mean
logits of training reals, held-out reals and fakes (`metrics.holdout`).

DIR keeps runs (which are not repeated), a grid of each recipe at its lowest FID and at its end, and
results.json.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from measuring.judge import Judge, write_grid
from measuring.real_step import stage_factory
from measuring.recipes import QUIET, add_options, draw, split, train_once
from measuring.results import new_table, show
from measuring.timing import keep_memory
from progan.pipeline.run_folder import RunFolder
from progan.stages.metrics.holdout import NAMES
from progan.stages.networks.generator import Generator
from progan.stages.storage.final import read_final
from progan.stages.storage.metrics_log import read_ticks
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.storage.tensors import read_tensors

RISEN = 0.2
"""Overfitting shows when FID has risen by this share above its lowest value"""
Point = dict[str, float]
"""kimg, fid, and the mean logits"""


def training_words(arguments: argparse.Namespace, words: tuple[str, ...]) -> tuple[str, ...]:
    """Of a run of one stage that keeps a checkpoint for every point."""
    size, every = arguments.resolution, arguments.every
    return (
        *words, *split(arguments.common), *QUIET, f"data.path={arguments.few}",
        f"growth.first={size}", f"growth.last={size}", f"growth.steady_kimg={arguments.kimg}",
        f"metrics.holdout={arguments.holdout}", f"ticks.kimg={every}",
        f"checkpoint.every_kimg={every}", "checkpoint.keep=100000",
    )  # fmt: skip


def curve(arguments: argparse.Namespace, stage: StageFolder, judge: Judge) -> Iterator[Point]:
    """FID and logits of a finished stage at every checkpoint; writes the grids."""
    name = stage.path.parents[1].name
    ticks = {tick["images_seen"]: tick for tick in read_ticks(stage.metrics)}
    generator = Generator(read_final(stage.final).model, arguments.resolution)
    lowest = float("inf")
    for folder in sorted(stage.checkpoints.glob("[0-9]*")):
        generator.load_state_dict(read_tensors(folder / "ema.safetensors"))
        pictures = draw(generator.eval(), arguments.images)
        seen, fid = int(folder.name), judge.fid(pictures)
        if fid < lowest:
            lowest = fid
            write_grid(arguments.output / f"{name}-lowest.png", pictures)
        logits = {key: ticks[seen][key] for key in NAMES if seen in ticks}
        yield {"kimg": seen / 1000, "fid": fid, **logits}
    write_grid(arguments.output / f"{name}-end.png", pictures)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train each recipe, and judge its checkpoints."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    curves: dict[str, list[Point]] = {}
    with stage_factory() as factory:
        judge = Judge(arguments.all, arguments.resolution, arguments.images, factory.world)
        arguments.images = judge.images
        floor = judge.fid(judge.other_reals)
        for name, words in arguments.recipe:
            run = RunFolder(arguments.output / name)
            train_once(training_words(arguments, words), run)
            curves[name] = []
            for point in curve(arguments, run.stage(arguments.resolution), judge):
                curves[name].append(point)
                print(name, json.dumps(point), file=sys.stderr, flush=True)
    return {"images": arguments.images, "task": judge.task, "accuracy": judge.accuracy,
            "reals": floor, "curves": curves}  # fmt: skip


def summary(name: str, points: list[Point]) -> str:
    """A recipe's lowest FID, and whether it has overfitted."""
    lowest = min(points, key=lambda point: point["fid"])
    risen = points[-1]["fid"] / lowest["fid"] - 1
    return (
        f"{name}: lowest FID {lowest['fid']:.3g} after {lowest['kimg']:g} kimg, at the end "
        f"{risen:.0%} above" + (" (overfits)" if risen >= RISEN else "")
    )


def table(document: dict[str, Any]) -> Table:
    """Recipes side by side, one row a checkpoint."""
    curves = document["curves"]
    columns = ["fid", *NAMES]
    title = (
        f"FID of {document['images']} pictures, classifier {document['accuracy']:.0%} right; "
        f"other reals: {document['reals']:.3g}"
    )
    headings = ["kimg", *(f"{name}\n{column}" for name in curves for column in columns)]
    found = new_table(headings, title)
    for rows in zip(*curves.values(), strict=False):
        values = [row.get(column, float("nan")) for row in rows for column in columns]
        found.add_row(f"{rows[0]['kimg']:g}", *(f"{value:.3g}" for value in values))
    return found


def options() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("few", type=Path, metavar="FEW", help="data set to train on")
    parser.add_argument("all", type=Path, metavar="ALL", help="data set to compare with")
    add_options(parser, resolution=16)
    parser.add_argument("--kimg", type=float, default=300, help="length of each training")
    parser.add_argument("--every", type=float, default=20, help="kimg between points")
    parser.add_argument("--holdout", type=float, default=0.2, help="share of FEW not trained on")
    parser.add_argument("--output", type=Path, default=Path("overfitting"), metavar="DIR")
    arguments = parser.parse_args()
    arguments.few, arguments.all = arguments.few.absolute(), arguments.all.absolute()
    arguments.output = arguments.output.absolute()
    return arguments


def main() -> None:
    """Measure, and print."""
    arguments = options()
    keep_memory()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    document = measure(arguments)
    (arguments.output / "results.json").write_text(json.dumps(document, indent=1))
    show(document, table, arguments.json)
    if not arguments.json:
        for name, points in document["curves"].items():
            print(summary(name, points))


if __name__ == "__main__":
    main()
