"""How training scales with ranks: measured on this machine, and modelled for larger ones.

    python benchmarks/scaling.py [--resolution 32] [--batch 4] [--ranks 1 2] [KEY=VALUE ...]
    python benchmarks/scaling.py --model --ms 1.2 --batch 16

Each rank has one thread (or GPU) and `--batch` pictures a step (weak scaling), so that ideally a
step takes as long on many ranks as on one. Jobs of each number of ranks run in turn. Two shares of
the ideal are shown: by wall-clock time, valid only where nothing else runs, and by processor time a
picture, which leaves out waiting. The bytes are those that each rank sends in a step with ring
collectives, counted from the calls that DeepSpeed makes.

The model: a step of N GPUs takes the time of one, plus, without overlap, its bytes over the slowest
link they cross, and 2 log2 N latencies for every collective. All assumptions are options.
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
from rich.table import Table

import measuring.deepspeed_to_stderr  # noqa: F401
from measuring.real_step import configuration, one_step, stage_factory
from measuring.results import machine, new_table, print_tables
from progan.launch.environment import KEEP_MEMORY
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run_folder import RunFolder
from progan.stages.networks.widths import discriminator_parameters, generator_parameters

SENT: dict[str, Callable[[int], float]] = {
    "all_reduce": lambda n: 2 * (n - 1) / n,
    "reduce": lambda n: (n - 1) / n,
    "broadcast": lambda n: (n - 1) / n,
    "all_gather": lambda n: n - 1,
    "all_gather_into_tensor": lambda n: n - 1,
    "reduce_scatter_tensor": lambda n: (n - 1) / n,
}
"""Mean bytes that a rank sends, as a multiple of its input's size, by collective; n: ranks"""
INPUT = {"all_gather": 1, "all_gather_into_tensor": 1, "reduce_scatter_tensor": 1}
"""Index of the input argument where it is not 0"""


@dataclass
class Traffic:
    """What one rank sends."""

    bytes: float = 0.0
    collectives: int = 0


@contextmanager
def count_traffic() -> Iterator[Traffic]:
    """Count what the collectives in this context send."""
    traffic, ranks = Traffic(), dist.get_world_size()
    originals = {name: getattr(dist, name) for name in SENT}

    def collective(name: str, *arguments: Any, **rest: Any) -> Any:
        tensors = [a for a in (*arguments, *rest.values()) if isinstance(a, torch.Tensor)]
        input = tensors[min(INPUT.get(name, 0), len(tensors) - 1)]
        traffic.bytes += SENT[name](ranks) * input.numel() * input.element_size()
        traffic.collectives += 1
        return originals[name](*arguments, **rest)

    for name in SENT:
        setattr(dist, name, partial(collective, name))
    try:
        yield traffic
    finally:
        for name, original in originals.items():
            setattr(dist, name, original)


def measure_rank(arguments: argparse.Namespace) -> None:
    """One rank of a job that this program started; the first prints the results."""
    torch.set_num_threads(1)
    ranks = int(os.environ["WORLD_SIZE"])
    with stage_factory() as factory:
        config = configuration(
            arguments.batch * ranks, arguments.precision, tuple(arguments.overrides)
        )
        stage = factory.stage(config, arguments.resolution)
        with stage.batches:
            one_step(stage)
            with count_traffic() as traffic:
                one_step(stage)
            seconds, processor = [], []
            for _ in range(arguments.steps):
                stage.world.barrier()
                start, before = time.perf_counter(), processor_seconds()
                one_step(stage)
                seconds.append(time.perf_counter() - start)
                processor.append(processor_seconds() - before)
            processor = [statistics.fmean(each) for each in zip(*gather(processor), strict=True)]
        if stage.world.is_first:
            results = {"seconds": seconds, "processor": processor,
                       "machine": machine(stage.world.device), "wire": asdict(traffic)}  # fmt: skip
            print("\n" + json.dumps(results), flush=True)
        stage.world.barrier()
    os._exit(0)


def gather(numbers: list[float]) -> list[list[float]]:
    """The lists of all ranks."""
    lists: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(lists, numbers)
    return lists


def processor_seconds() -> float:
    """Of all threads of this process, gloo's included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_job(ranks: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Start this program with a number of ranks; returns what the first one prints."""
    torchrun = Path(sys.executable).with_name("torchrun")
    start = [torchrun, "--standalone", f"--nproc-per-node={ranks}", __file__, "--within"]
    options = [f"--{name}={getattr(arguments, name)}"
               for name in ("resolution", "batch", "precision", "steps")]  # fmt: skip
    words = [*start, *arguments.overrides, *options]
    env = os.environ | KEEP_MEMORY | {"OMP_NUM_THREADS": "1"}
    process = subprocess.run(list(map(str, words)), capture_output=True, text=True, env=env)
    if process.returncode:
        sys.exit(process.stderr[-2000:])
    results: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return results


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run jobs of each number of ranks in turn; the first number is what others are compared to."""
    jobs_by_ranks: dict[int, list[dict[str, Any]]] = {ranks: [] for ranks in arguments.ranks}
    for _ in range(arguments.rounds):
        for ranks in arguments.ranks:
            jobs_by_ranks[ranks].append(run_job(ranks, arguments))
    rows = []
    for ranks, jobs in jobs_by_ranks.items():
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
    """Bandwidths and latency between GPUs."""

    gpus_per_node: int
    inside_gb_per_second: float
    """10^9 bytes/s that each GPU sends to others in its node"""
    between_gb_per_second: float
    """10^9 bytes/s that each GPU sends to other nodes"""
    latency_us: float
    """Of one message"""


def modelled_seconds(
    alone: float, parameters: int, collectives: int, gpus: int, links: Links
) -> float:
    """Seconds of a step of `gpus`, each with as many pictures as take `alone` seconds on one.

    Gradients in float32 are reduced once, and gathered once as weights; each GPU sends
    (gpus - 1) / gpus of them both times.
    """
    sent = SENT["all_reduce"](gpus) * 4 * parameters
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
    """One row a number of ranks."""
    size = f"{arguments.resolution}x{arguments.resolution}"
    headings = ("ranks", "s a step", "of ideal", "processor s", "of ideal", "MB sent a rank",
                "collectives")  # fmt: skip
    title = f"{size}, {arguments.precision}, {arguments.batch} pictures a rank"
    table = new_table(headings, title)
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
    """One row a number of GPUs."""
    assumptions = ", ".join(f"{name} {value:g}" for name, value in model["assumptions"].items())
    table = new_table(("GPUs", "ms a step", "of ideal", "pictures/s"), "model", assumptions)
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
        measure_rank(arguments)
    document = extrapolate(arguments) if arguments.model else measure(arguments)
    if arguments.json:
        print(json.dumps(document, indent=1))
    else:
        table = model_table(document) if arguments.model else measured_table(document, arguments)
        print_tables(table)


if __name__ == "__main__":
    main()
