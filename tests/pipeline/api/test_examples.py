"""The examples of docs/python.md, of the docstrings and of the notebook run and say the truth."""

import doctest
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from progan.datasets.synthetic import draw_dataset

ROOT = Path(__file__).resolve().parents[3]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
MODULES = [
    "progan.api",
    *(f"progan.pipeline.api.{file.stem}" for file in sorted((ROOT / "pipeline/api").glob("*.py"))),
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, with drawn pictures: the examples of the page were run in it."""
    folder = tmp_path_factory.mktemp("python")
    draw_dataset(folder / "pictures", num=96, size=16)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        names: dict[str, object] = {}
        for block in BLOCK.findall((ROOT / "docs" / "python.md").read_text()):
            exec(compile(block, "docs/python.md", "exec"), names)
        yield folder


def test_examples_of_the_page_leave_their_files(workplace: Path) -> None:
    assert {"shapes", "runs", "first.png", "shapes.html"} <= {p.name for p in workplace.iterdir()}
    assert [path.name for path in (workplace / "runs").iterdir()] == ["shapes"]


def read_notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(workplace: Path, module: str) -> None:
    result = doctest.testmod(import_module(module))
    assert result.attempted > 0 and result.failed == 0


def test_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    notebook = read_notebook()
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 2
    assert any("<iframe" in output.get("data", {}).get("text/html", "") for output in shown)
    assert not any(output.output_type == "error" for output in shown)


def test_notebook_is_kept_small_and_whole() -> None:
    notebook = read_notebook()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert NOTEBOOK.stat().st_size < 200_000
    assert sys.prefix not in NOTEBOOK.read_text()
