"""What the programs print: tables, or one JSON document with `--json`."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console  # noqa: TID251
from rich.table import Table

from progan.stages.storage.launch_log import processor
from progan.stages.training.hosts import versions


def machine(device: torch.device) -> dict[str, Any]:
    """The device, threads, system and versions that figures were measured with, and the date."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
        "system": platform.platform(),
        "date": time.strftime("%Y-%m-%d"),
        "versions": versions(),
    }


def new_table(
    headings: Sequence[str], title: str, caption: str | None = None, text_columns: int = 0
) -> Table:
    """A table without rows; all but the first `text_columns` columns are right-aligned."""
    table = Table(title=title, caption=caption)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < text_columns else "right")
    return table


def show(document: dict[str, Any], table: Callable[[dict[str, Any]], Table], as_json: bool) -> None:
    """Print the document's table, or the document as JSON and nothing else."""
    if as_json:
        print(json.dumps(document, indent=1))
    else:
        print_tables(table(document))


def print_tables(*tables: Table) -> None:
    """Print tables, 140 columns wide."""
    console = Console(width=140)
    for table in tables:
        console.print(table)


def read_results(path: Path) -> dict[str, Any]:
    """What `--json` printed; exits with a message if the file has no such document."""
    try:
        results: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"{path} holds no results: {error}")
    return results
