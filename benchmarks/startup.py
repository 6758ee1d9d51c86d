"""What is waited for before anything happens: commands, and a worker up to its first step.

    python benchmarks/startup.py [--rounds 5] [--json]

Every start is a new process; commands are run in turn, medians shown. `processor` is what they
computed, which other programs on the machine disturb less. The worker is a real one of an 8x8
stage with the paper's networks; its parts are timed from within.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

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


def timed(words: list[str], env: dict[str, str]) -> tuple[float, float, str]:
    """Seconds by the clock, of processor time, and what the process printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=env)
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used, done.stdout


def commands(rounds: int, env: dict[str, str]) -> list[dict[str, Any]]:
    """What people type and wait for."""
    words = {
        "progan --help": [PROGAN, "--help"],
        "progan plan, seen before": [PROGAN, "plan", "celebahq-1024-1gpu"],
    }
    first = timed(words["progan plan, seen before"], env)
    found = [{"what": "progan plan, the first time", "seconds": first[0], "processor": first[1]}]
    taken: dict[str, list[tuple[float, float]]] = {what: [] for what in words}
    for _ in range(rounds):
        for what, argv in words.items():
            taken[what].append(timed(argv, env)[:2])
    for what, pairs in taken.items():
        seconds, used = (statistics.median(column) for column in zip(*pairs, strict=True))
        found.append({"what": what, "seconds": seconds, "processor": used})
    return found


def worker(folder: Path, rounds: int, env: dict[str, str]) -> list[dict[str, Any]]:
    """A worker's way to its second step, part by part."""
    draw_dataset(folder / "drawn", num=64, size=8)
    with ThreadPoolExecutor(1) as here:
        prepare(folder / "drawn", folder / "data", 8, executor=here)
    words = (f"data.path={folder / 'data'}", "growth.first=8", "batch=16", "engine.precision=fp32")
    config = load_config("celebahq-1024-1gpu", words)
    fingerprint = load_manifest(str(folder / "data")).fingerprint
    path = folder / "spec.json"
    path.write_text(stage_spec(config, RunFolder(folder), fingerprint, 8).model_dump_json())
    parts: dict[str, list[float]] = {}
    for _ in range(rounds):
        before = time.time()
        said = timed([sys.executable, "-c", WORKER, str(path)], env)[2]
        for name, at in json.loads(said.splitlines()[-1]):  # DeepSpeed speaks too
            parts.setdefault(name, []).append(at - before)
            before = at
    return [{"what": name, "seconds": statistics.median(taken)} for name, taken in parts.items()]


def startup_table(title: str, rows: list[dict[str, Any]]) -> Table:
    """For a person."""
    table = Table("", title=title)
    for heading in ("seconds", "processor"):
        table.add_column(heading, justify="right")
    for row in rows:
        used = f"{row['processor']:.2f}" if "processor" in row else ""
        table.add_row(row["what"], f"{row['seconds']:.2f}", used)
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
            "commands": commands(arguments.rounds, env),
            "worker": worker(folder, arguments.rounds, env),
        }
    if arguments.json:
        print(json.dumps(document, indent=1))
    else:
        console = Console()
        console.print(startup_table("commands", document["commands"]))
        console.print(startup_table("a worker, from its start", document["worker"]))


if __name__ == "__main__":
    main()
