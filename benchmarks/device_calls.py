"""What a training step asks of a GPU, counted on a device that computes nothing: no GPU is needed.

    python benchmarks/device_calls.py [8:16 64:16 1024:4] [KEY=VALUE ...] [--precision bf16]

Kernel launches, products and convolutions, collectives, copies and bytes by direction, waits of the
host, and the peak of the allocator, a step; RESOLUTION:BATCH words say which steps. The device is
tests/stages/gpu/fake_gpu, which this builds and starts itself again on (it needs gcc).
"""

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from rich.table import Table

TESTS = Path(__file__).resolve().parents[1] / "tests/stages/gpu"
sys.path.append(str(TESTS))

import fake_device  # noqa: E402

STEPS = 4
WAITS = ("sync_dev", "sync_stream", "sync_event", "memcpy_sync")
COLUMNS = {
    "launches": ("launch",),
    "products": ("gemm",),
    "convolutions": ("conv",),
    "collectives": ("nccl",),
    "waits": WAITS,
    "copies": ("h2d", "d2h", "d2d"),
    "MB to": ("h2d_bytes",),
    "MB from": ("d2h_bytes",),
    "MB within": ("d2d_bytes",),
}
"""Headings, and the counters that each adds up"""


def restart_on_fake_device() -> None:
    """Replace this process by the same one on the device."""
    if (problem := fake_device.problem()) is not None:
        sys.exit(problem)
    built = fake_device.build(Path(tempfile.mkdtemp(prefix="progan-fake-gpu-")))
    counting = {"FAKE_NOCOPY": "1", "CUDA_VISIBLE_DEVICES": "0", "FAKE_GPUS": "1"}
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | built | counting)


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each resolution and batch."""
    from measuring.real_step import configuration, one_step, stage_factory

    rows = []
    with stage_factory() as factory:
        for resolution, batch in arguments.steps:
            config = configuration(batch, arguments.precision, tuple(arguments.overrides))
            stage = factory.stage(config, resolution)
            with stage.batches:
                for step in range(2 + STEPS):
                    if step == 2:
                        fake_device.reset()
                    one_step(stage)
                    stage.position += stage.spec.images_per_step
                found = fake_device.counters()
            rows.append(
                {"step": f"{resolution}:{batch}"} | {k: v / STEPS for k, v in found.items()}
            )
    return rows


def call_table(rows: list[dict[str, Any]], precision: str) -> Table:
    """One row a step."""
    from measuring.results import new_table

    table = new_table(("size:batch", *COLUMNS), title=f"a step in {precision} asks of the device")
    for row in rows:
        cells = []
        for heading, names in COLUMNS.items():
            amount = sum(row[name] for name in names)
            cells.append(f"{amount / 1e6:,.2f}" if heading.startswith("MB") else f"{amount:,.0f}")
        table.add_row(row["step"], *cells)
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", metavar="RESOLUTION:BATCH or KEY=VALUE")
    parser.add_argument("--precision", default="bf16")
    arguments = parser.parse_args()
    arguments.overrides = [word for word in arguments.words if "=" in word]
    steps = [word for word in arguments.words if "=" not in word] or ["8:16", "64:16", "1024:4"]
    arguments.steps = [tuple(map(int, word.split(":"))) for word in steps]
    if not fake_device.is_on():
        restart_on_fake_device()
    from measuring.results import print_tables

    warnings.simplefilter("ignore")
    print_tables(call_table(measure(arguments), arguments.precision))


if __name__ == "__main__":
    main()
