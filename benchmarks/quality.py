"""How good are the pictures that recipes make in equal processor time?

    python benchmarks/quality.py DATASET --resolution 32 --seconds 300 --seeds 3 --output DIR \\
        --recipe "paper=cifar10-32" --recipe "hinge=cifar10-32 objective.loss=hinge" \\
        --with "model={latent: 128, fmap_base: 512, fmap_max: 64} batch=16" --peers PEERS

A recipe is NAME=PRESET and key=value words of `progan train`; `--with` has words for all of them.
The lengths of a recipe's stages are scaled so that its steps take the given processor time on one
thread, measured by a few steps of each before anything is trained: only then must the machine be
idle. Start-up comes on top and is part of the time shown. Each is trained with several seeds.

FID: by the features of a small classifier trained on the data set (measuring/judge.py), of
`--images` pictures; SWD x 1000, by level, of 1,024. `reals` is what other reals score: nothing is
better. Means over seeds, and from least to most in brackets. DIR keeps runs (which are not
repeated), a grid of each, and results.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from measuring.judge import Judge, write_grid
from measuring.real_step import StageFactory, stage_factory
from measuring.recipes import SECONDS, Trained, add_options, scaled_lengths, split, train
from measuring.results import new_table, show
from measuring.timing import keep_memory, time_child_processes
from progan.pipeline.run_folder import RunFolder
from progan.stages.storage.tensors import read_tensors

PEER = "pytorch_GAN_zoo"
Scores = dict[str, float]


def words_of(arguments: argparse.Namespace, words: tuple[str, ...]) -> tuple[str, ...]:
    """A recipe's words, those of all recipes, the data set and the last resolution."""
    where = [f"data.path={arguments.data}", f"growth.last={arguments.resolution}"]
    return (*words, *split(arguments.common), *where)


def calibrate(arguments: argparse.Namespace, factory: StageFactory) -> dict[str, tuple[str, ...]]:
    """Words for the lengths of each recipe's stages; of the peer, the costs are written.

    All at once and before any training, so that what runs beside a training later changes nothing.
    Kept in the output folder.
    """
    kept = arguments.output / "lengths.json"
    found: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for name, words in arguments.recipe:
        if name not in found:
            recipe = words_of(arguments, words)
            found[name] = scaled_lengths(recipe, arguments.seconds, factory)
    kept.write_text(json.dumps(found, indent=1))
    if arguments.peers and not costs_of_peer(arguments).exists():
        run_peer(arguments, "time", arguments.resolution, costs_of_peer(arguments))
    return found


def trainings(
    arguments: argparse.Namespace, lengths: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, int, Trained]]:
    """Each recipe and the peer, seed by seed."""
    for seed in range(arguments.seeds):
        for name, words in arguments.recipe:
            run = RunFolder(arguments.output / f"{name}-{seed}")
            said = (*words_of(arguments, words), f"seed={seed}")
            yield name, seed, train(said, lengths[name], run, arguments.images)
        if arguments.peers:
            yield PEER, seed, train_peer(arguments, seed)


def costs_of_peer(arguments: argparse.Namespace) -> Path:
    """Where the time of the peer's steps is kept."""
    return Path(arguments.output / f"{PEER}.json")


def run_peer(arguments: argparse.Namespace, command: str, *more: object) -> float:
    """Processor seconds of pytorch_GAN_zoo's program in a process of its own."""
    program = Path(__file__).parent / "measuring/gan_zoo_training.py"
    argv = [sys.executable, str(program), command, str(arguments.peers / PEER),
            str(arguments.data), *map(str, more)]  # fmt: skip
    path = {"PYTHONPATH": ":".join([str(program.parents[1]), *filter(None, sys.path)])}
    run = subprocess.run
    return time_child_processes(lambda: run(argv, check=True, env=path))[1]


def train_peer(arguments: argparse.Namespace, seed: int) -> Trained:
    """pytorch_GAN_zoo's pictures."""
    output = arguments.output / f"{PEER}-{seed}.safetensors"
    seconds = output.with_suffix(f".{SECONDS}")
    if not seconds.exists():
        took = run_peer(
            arguments, "train", costs_of_peer(arguments), arguments.seconds, seed,
            arguments.images, output,
        )  # fmt: skip
        seconds.write_text(str(took))
    pictures = read_tensors(output)
    kimg = float(pictures.pop("kimg"))
    return Trained(float(seconds.read_text()), kimg, pictures)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, draw and judge."""
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[Scores]] = {}
    with stage_factory() as factory:
        judge = Judge(arguments.data, arguments.resolution, arguments.images, factory.world)
        arguments.images = judge.images
        lengths = calibrate(arguments, factory)
        floor = judge.scores(judge.other_reals)
        write_grid(arguments.output / "reals.png", judge.reals)
        print(f"classifier of {judge.task}: {judge.accuracy:.1%} right", file=sys.stderr)
        for name, seed, trained in trainings(arguments, lengths):
            pictures = trained.pictures
            write_grid(arguments.output / f"{name}-{seed}.png", pictures["ema"])
            scores = judge.scores(pictures["ema"])
            plain = judge.fid(pictures["generator"])
            scores |= {"fid_not_averaged": plain, "seconds": trained.seconds, "kimg": trained.kimg}
            rows.setdefault(name, []).append(scores)
            print(name, seed, json.dumps(scores), file=sys.stderr, flush=True)
    return {"images": arguments.images, "task": judge.task, "accuracy": judge.accuracy,
            "seconds": arguments.seconds, "reals": floor, "recipes": rows}  # fmt: skip


def spread(values: list[float]) -> str:
    """Mean, and least to most."""
    mean = f"{statistics.mean(values):.3g}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3g}-{max(values):.3g})"


def table(document: dict[str, Any]) -> Table:
    """One row a recipe."""
    swd = [name for name in document["reals"] if name.startswith("swd_")]
    columns = ["fid", "fid_not_averaged", *swd, "seconds", "kimg"]
    title = (
        f"{document['images']} pictures, classifier {document['accuracy']:.0%} right "
        f"({document['task']})"
    )
    found = new_table(["", *columns], title, text_columns=1)
    found.add_row("reals", *(f"{document['reals'].get(name, 0):.3g}" if name in document["reals"]
                             else "" for name in columns))  # fmt: skip
    for name, rows in document["recipes"].items():
        found.add_row(name, *(spread([row[column] for row in rows]) for column in columns))
    return found


def options() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DATASET", help="made by progan prepare")
    add_options(parser, resolution=32)
    parser.add_argument("--seconds", type=float, default=300, help="processor time of each")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--peers", type=Path, help=f"folder with a checkout of {PEER}")
    parser.add_argument("--output", type=Path, default=Path("quality"), metavar="DIR")
    arguments = parser.parse_args()
    arguments.data, arguments.output = arguments.data.absolute(), arguments.output.absolute()
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


if __name__ == "__main__":
    main()
