"""Start-up times: of commands, and of a worker up to its second step.

    python benchmarks/startup.py [--rounds 5] [--json]

Every start is a new process; commands run in turn, and medians are shown. `processor` is processor
time, which other programs on the machine disturb less. The worker is that of an 8x8 stage with the
paper's networks, and times its own parts; once alone, and once as the first of two ranks.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from measuring.results import new_table, print_tables
from measuring.timing import time_child_processes
from progan.datasets.build.prepare import prepare
from progan.datasets.format.manifest import load_manifest
from progan.datasets.synthetic import draw_dataset
from progan.launch.environment import KEEP_MEMORY
from progan.pipeline.config.schema import load_config
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run_folder import RunFolder

PROGAN = str(Path(sys.executable).with_name("progan"))
WORKER = """
import json, os, sys, time
marks = [("interpreter", time.time())]
from pathlib import Path
from progan.stages.specs.stage import StageSpec
from progan.stages.training.lazy_imports import leave_out_mlflow
spec = StageSpec.model_validate_json(Path(sys.argv[1]).read_bytes())
marks.append(("import and read the spec", time.time()))
leave_out_mlflow()
import torch
marks.append(("import torch", time.time()))
import deepspeed
marks.append(("import DeepSpeed", time.time()))
from datetime import timedelta
from progan.stages.training import job
from progan.stages.training.loop import step
marks.append(("import the rest", time.time()))
world = job.detect()
job.start_distributed(world, timedelta(minutes=1))
job.leave_out_compiler()
job.leave_out_muon_kernels()
marks.append(("process group", time.time()))
stage = job.build(spec, world, None, [])
marks.append(("networks, engines, data", time.time()))
step(stage, dict)
marks.append(("first step", time.time()))
step(stage, dict)
marks.append(("second step", time.time()))
print(json.dumps(marks), flush=True)
os._exit(0)
"""


def run(argv: list[str], env: dict[str, str]) -> str:
    """Run a process; returns what it printed."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=env).stdout


def time_commands(rounds: int, env: dict[str, str]) -> list[dict[str, Any]]:
    """Times of commands that a user waits for."""
    commands = {
        "progan --help": [PROGAN, "--help"],
        "progan plan, seen before": [PROGAN, "plan", "celebahq-1024-1gpu"],
    }
    actions = {what: partial(run, argv, env) for what, argv in commands.items()}
    seconds, processor = time_child_processes(actions["progan plan, seen before"])
    rows = [{"what": "progan plan, the first time", "seconds": seconds, "processor": processor}]
    timings: dict[str, list[tuple[float, float]]] = {what: [] for what in actions}
    for _ in range(rounds):
        for what, action in actions.items():
            timings[what].append(time_child_processes(action))
    for what, pairs in timings.items():
        seconds, processor = (statistics.median(column) for column in zip(*pairs, strict=True))
        rows.append({"what": what, "seconds": seconds, "processor": processor})
    return rows


def write_spec(folder: Path) -> Path:
    """The spec of an 8x8 stage on drawn pictures."""
    draw_dataset(folder / "drawn", num=64, size=8)
    with ThreadPoolExecutor(1) as thread:
        prepare(folder / "drawn", folder / "data", 8, executor=thread)
    words = (f"data.path={folder / 'data'}", "growth.first=8", "batch=16", "engine.precision=fp32")
    config = load_config("celebahq-1024-1gpu", words)
    fingerprint = load_manifest(str(folder / "data")).fingerprint
    path = folder / "spec.json"
    path.write_text(stage_spec(config, RunFolder(folder), fingerprint, 8).model_dump_json())
    return path


def rank_variables(rank: int, ranks: int, port: int) -> dict[str, str]:
    """What a launcher sets; nothing for a rank alone."""
    if ranks == 1:
        return {}
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks,
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}  # fmt: skip
    return {name: str(value) for name, value in variables.items()}


def time_worker(spec: Path, ranks: int, rounds: int, env: dict[str, str]) -> list[dict[str, Any]]:
    """Times of the parts of the first rank's start, up to its second step."""
    parts: dict[str, list[float]] = {}
    argv = [sys.executable, "-c", WORKER, str(spec)]
    for _ in range(rounds):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        before = time.time()
        processes = [
            subprocess.Popen(argv, env=env | rank_variables(rank, ranks, port), text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for rank in range(ranks)
        ]  # fmt: skip
        output, *_ = [process.communicate()[0] for process in processes]
        for name, at in json.loads(output.splitlines()[-1]):  # DeepSpeed prints lines before
            parts.setdefault(name, []).append(at - before)
            before = at
    return [{"what": name, "seconds": statistics.median(times)} for name, times in parts.items()]


def startup_table(title: str, rows: list[dict[str, Any]]) -> Table:
    """One row a command or part."""
    table = new_table(("", "seconds", "processor"), title, text_columns=1)
    for row in rows:
        processor = f"{row['processor']:.2f}" if "processor" in row else ""
        table.add_row(row["what"], f"{row['seconds']:.2f}", processor)
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="progan-benchmark-") as name:
        folder = Path(name)
        env = os.environ | KEEP_MEMORY | {"XDG_CACHE_HOME": name, "OMP_NUM_THREADS": "1"}
        document = {
            "commands": time_commands(arguments.rounds, env),
        }
        spec = write_spec(folder)
        for ranks in (1, 2):
            document[f"ranks {ranks}"] = time_worker(spec, ranks, arguments.rounds, env)
    if arguments.json:
        print(json.dumps(document, indent=1))
    else:
        print_tables(
            startup_table("commands", document["commands"]),
            startup_table("a worker, from its start", document["ranks 1"]),
            startup_table("one of two ranks, from their start", document["ranks 2"]),
        )


if __name__ == "__main__":
    main()
