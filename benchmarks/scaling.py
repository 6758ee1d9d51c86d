"""What more ranks bring: measured on this machine, and by a model for machines that are not here.

    python benchmarks/scaling.py [--resolution 32] [--batch 4] [--ranks 1 2] [KEY=VALUE ...]
    python benchmarks/scaling.py --model --ms 1.2 --batch 16

Each rank has one thread (or GPU) and `--batch` pictures a step, so that the ideal is a step that
takes no longer. Jobs of each number of ranks are started in turn. Two shares of the ideal are
shown: by the clock, which holds only where nothing else runs, and by the processor time that a
picture costs, which leaves out waiting. The bytes are those that each rank must send in a step if
collectives are as good as they can be (ring), counted from the calls that DeepSpeed makes.

The model: a step of N GPUs takes what it takes on one, and then, nothing overlapped, its bytes
over the slower of the links they cross, and two times log2 N latencies for every collective. All
assumptions are options.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.table import Table

import apart  # noqa: F401
from measuring import machine
from progan.launch.environment import KEEP_MEMORY
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run_folder import RunFolder
from progan.stages.networks.widths import discriminator_parameters, generator_parameters
from realstep import configuration, one_step, toys

SHARES: dict[str, Callable[[int], float]] = {
    "all_reduce": lambda n: 2 * (n - 1) / n,
    "reduce": lambda n: (n - 1) / n,
    "broadcast": lambda n: (n - 1) / n,
    "all_gather": lambda n: n - 1,
    "all_gather_into_tensor": lambda n: n - 1,
    "reduce_scatter_tensor": lambda n: (n - 1) / n,
}
"""Bytes that a rank sends on the average, in its input's sizes, by collective; n: ranks."""
INPUT = {"all_gather": 1, "all_gather_into_tensor": 1, "reduce_scatter_tensor": 1}
"""Which argument the input is, where it is not the first"""


@dataclass
class Wire:
    """What one rank sends."""

    bytes: float = 0.0
    collectives: int = 0


@contextmanager
def counted() -> Iterator[Wire]:
    """Count what the collectives within send."""
    wire, ranks = Wire(), dist.get_world_size()
    originals = {name: getattr(dist, name) for name in SHARES}

    def collective(name: str, *arguments: Any, **rest: Any) -> Any:
        tensors = [a for a in (*arguments, *rest.values()) if isinstance(a, torch.Tensor)]
        taken = tensors[min(INPUT.get(name, 0), len(tensors) - 1)]
        wire.bytes += SHARES[name](ranks) * taken.numel() * taken.element_size()
        wire.collectives += 1
        return originals[name](*arguments, **rest)

    for name in SHARES:
        setattr(dist, name, partial(collective, name))
    try:
        yield wire
    finally:
        for name, original in originals.items():
            setattr(dist, name, original)


def measure_here(arguments: argparse.Namespace) -> None:
    """One rank of a job that this program started; the first prints what it found."""
    torch.set_num_threads(1)
    ranks = int(os.environ["WORLD_SIZE"])
    with toys() as made:
        config = configuration(
            arguments.batch * ranks, arguments.precision, tuple(arguments.overrides)
        )
        stage = made.stage(config, arguments.resolution)
        with stage.batches:
            one_step(stage)
            with counted() as wire:
                one_step(stage)
            seconds, used = [], []
            for _ in range(arguments.steps):
                stage.world.barrier()
                began, before = time.perf_counter(), processor_seconds()
                one_step(stage)
                seconds.append(time.perf_counter() - began)
                used.append(processor_seconds() - before)
            used = [statistics.fmean(each) for each in zip(*gathered(used), strict=True)]
        if stage.world.is_first:
            found = {"seconds": seconds, "processor": used, "machine": machine(stage.world.device)}
            print("\n" + json.dumps(found | {"wire": asdict(wire)}), flush=True)
        stage.world.barrier()
    os._exit(0)


def gathered(numbers: list[float]) -> list[list[float]]:
    """The lists of all ranks."""
    everybodys: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everybodys, numbers)
    return everybodys


def processor_seconds() -> float:
    """Of all threads of this process: gloo's work, too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def job(ranks: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Start so many ranks of this program and hear what they found."""
    torchrun = Path(sys.executable).with_name("torchrun")
    start = [torchrun, "--standalone", f"--nproc-per-node={ranks}", __file__, "--within"]
    told = [f"--{name}={getattr(arguments, name)}"
            for name in ("resolution", "batch", "precision", "steps")]  # fmt: skip
    words = [*start, *arguments.overrides, *told]
    env = os.environ | KEEP_MEMORY | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Jobs of each number of ranks in turn, each compared with the fewest."""
    found: dict[int, list[dict[str, Any]]] = {ranks: [] for ranks in arguments.ranks}
    for _ in range(arguments.rounds):
        for ranks in arguments.ranks:
            found[ranks].append(job(ranks, arguments))
    rows = []
    for ranks, jobs in found.items():
        median = {
            key: statistics.median(x for each in jobs for x in each[key])
            for key in ("seconds", "processor")
        }
        rows.append({"ranks": ranks} | median | {"wire": jobs[0]["wire"]})
    for row in rows:
        row["share_by_clock"] = rows[0]["seconds"] / row["seconds"]
        row["share_by_processor"] = rows[0]["processor"] / row["processor"]
    return {"machine": jobs[0]["machine"], "rows": rows}


@dataclass(frozen=True, kw_only=True)
class Links:
    """What ranks send through."""

    gpus_per_node: int
    inside_gb_per_second: float
    """10^9 bytes/s that each GPU sends to others of its machine"""
    between_gb_per_second: float
    """The same to other machines"""
    latency_us: float
    """Of one message"""


def modelled_seconds(
    alone: float, parameters: int, collectives: int, gpus: int, links: Links
) -> float:
    """Seconds of a step of `gpus`, each with the pictures that take `alone` on one.

    Gradients in float32 go through once as a reduction and, as weights, come back once; either way
    each GPU sends (gpus - 1) / gpus of them.
    """
    sent = SHARES["all_reduce"](gpus) * 4 * parameters
    crosses = gpus > links.gpus_per_node
    speed = links.between_gb_per_second if crosses else links.inside_gb_per_second
    waiting = collectives * 2 * math.log2(gpus) * links.latency_us * 1e-6
    return alone + sent / (speed * 1e9) + waiting


def extrapolate(arguments: argparse.Namespace) -> dict[str, Any]:
    """The model for 8 to 512 GPUs."""
    alone, collectives = arguments.ms * arguments.batch / 1000, arguments.collectives
    links = Links(
        gpus_per_node=arguments.gpus_per_node,
        inside_gb_per_second=arguments.inside,
        between_gb_per_second=arguments.between,
        latency_us=arguments.latency,
    )
    config = configuration(arguments.batch, arguments.precision, tuple(arguments.overrides))
    spec = stage_spec(config, RunFolder(Path()), "", arguments.resolution)
    shape = spec.model, spec.resolution
    parameters = generator_parameters(*shape, fading=True) + discriminator_parameters(
        *shape, fading=True
    )
    rows = []
    for gpus in (1, 8, 16, 32, 64, 128, 256, 512):
        seconds = modelled_seconds(alone, parameters, collectives, gpus, links)
        per_second = gpus * arguments.batch / seconds
        rows.append({"gpus": gpus, "seconds": seconds, "share": alone / seconds,
                     "pictures_per_second": per_second})  # fmt: skip
    assumed = {"seconds_alone": alone, "parameters": parameters, "collectives": collectives}
    return {"assumptions": assumed | asdict(links), "rows": rows}


def measured_table(document: dict[str, Any], arguments: argparse.Namespace) -> Table:
    """For a person."""
    size = f"{arguments.resolution}x{arguments.resolution}"
    table = Table(title=f"{size}, {arguments.precision}, {arguments.batch} pictures a rank")
    for heading in ("ranks", "s a step", "of ideal", "processor s", "of ideal", "MB sent a rank",
                    "collectives"):  # fmt: skip
        table.add_column(heading, justify="right")
    for row in document["rows"]:
        table.add_row(
            str(row["ranks"]),
            f"{row['seconds']:.3g}",
            f"{row['share_by_clock']:.0%}",
            f"{row['processor']:.3g}",
            f"{row['share_by_processor']:.0%}",
            f"{row['wire']['bytes'] / 1e6:.1f}",
            str(row["wire"]["collectives"]),
        )
    return table


def model_table(model: dict[str, Any]) -> Table:
    """For a person."""
    told = ", ".join(f"{name} {value:g}" for name, value in model["assumptions"].items())
    table = Table(title="model", caption=told)
    for heading in ("GPUs", "ms a step", "of ideal", "pictures/s"):
        table.add_column(heading, justify="right")
    for row in model["rows"]:
        table.add_row(
            str(row["gpus"]),
            f"{1000 * row['seconds']:.2f}",
            f"{row['share']:.0%}",
            f"{row['pictures_per_second']:,.0f}",
        )
    return table


def options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4, help="pictures of each rank")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=5, help="of each job")
    parser.add_argument("--rounds", type=int, default=3, help="jobs of each number of ranks")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--model", action="store_true", help="extrapolate; measure nothing")
    parser.add_argument("--ms", type=float, help="a picture on one GPU, for the model")
    parser.add_argument("--collectives", type=int, default=6, help="a step, for the model")
    parser.add_argument("--gpus-per-node", type=int, default=8)
    parser.add_argument("--inside", type=float, default=300.0, help="GB/s of a GPU, one way")
    parser.add_argument("--between", type=float, default=25.0, help="GB/s of a GPU, one way")
    parser.add_argument("--latency", type=float, default=10.0, help="microseconds of a message")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(words)
    if arguments.model and arguments.ms is None:
        parser.error("--model needs --ms")
    return arguments


def main() -> None:
    """Measure or extrapolate."""
    arguments = options()
    warnings.simplefilter("ignore")
    if arguments.within:
        measure_here(arguments)
    document = extrapolate(arguments) if arguments.model else measure(arguments)
    if arguments.json:
        print(json.dumps(document, indent=1))
    else:
        table = model_table(document) if arguments.model else measured_table(document, arguments)
        Console(width=140).print(table)


if __name__ == "__main__":
    main()
