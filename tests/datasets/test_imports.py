"""Imports within datasets/: no circles, and only what makes batches loads torch."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "datasets"
PREFIX = "progan.datasets."
MAKE_BATCHES = {"loader", "reals", "device_copies"}
MODULES = sorted(
    ".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in FOLDER.rglob("*.py")
)


def imports(module: str) -> set[str]:
    """The modules of datasets/ that a module imports anywhere in its file."""
    path = FOLDER.joinpath(*module.split(".")).with_suffix(".py")
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix(PREFIX) for name in found} & set(MODULES)


def folder(module: str) -> str:
    """`format` for format.codec; a file at the root counts as a folder of its own."""
    return module.partition(".")[0]


@pytest.mark.parametrize("level", ["files", "folders"])
def test_imports_have_no_circles(level: str) -> None:
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        for other in imports(module):
            pair = (module, other) if level == "files" else (folder(module), folder(other))
            if pair[0] != pair[1]:
                graph.setdefault(pair[0], set()).add(pair[1])
    assert len(graph) > 5
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_only_what_makes_batches_loads_torch() -> None:
    lines = [f"import {PREFIX}{module}" for module in MODULES if module not in MAKE_BATCHES]
    lines += ["import sys", "print('torch' in sys.modules)"]
    argv = [sys.executable, "-c", "\n".join(lines)]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == "False\n"


WITHOUT_TORCH = """
import sys
from progan.datasets.webdataset_library import webdataset
first = webdataset()
assert first.TarWriter and "torch" not in sys.modules and webdataset() is first
import webdataset as another
import torch
assert issubclass(another.WebDataset, torch.utils.data.IterableDataset)
assert webdataset() is first
"""


def test_webdataset_is_loaded_without_torch_for_builds_only() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH], check=True)
