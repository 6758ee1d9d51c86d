"""Only the loader may load torch: the orchestrator and `progan --help` import the rest."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "datasets"


def test_nothing_but_the_loader_loads_torch() -> None:
    modules = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem != "loader")
    lines = [f"import progan.datasets.{name}" for name in modules]
    lines += ["import sys", "print('torch' in sys.modules)"]
    argv = [sys.executable, "-c", "\n".join(lines)]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == "False\n"
