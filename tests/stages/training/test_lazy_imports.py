"""Modules that a worker does not load until it needs them."""

import subprocess
import sys
from pathlib import Path

from forked_ranks import PROGRAMS
from progan.stages.specs.stage import EngineSpec, GrowthSpec
from progan.stages.storage.stage_folder import StageFolder
from workers import spec, start_by_torchrun

LISTING_WORKER = PROGRAMS / "listing_worker.py"
HEAVY = "torch._dynamo.symbolic_convert"


START = """
import sys
import torch
from progan.stages.training.lazy_imports import leave_out_compiler
leave_out_compiler()
"""


def python(code: str) -> str:
    """The output of a new interpreter."""
    words = [sys.executable, "-c", START + code]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


STEP = """
weights = torch.ones(3, requires_grad=True)
adam = torch.optim.Adam([weights], lr=0.1, fused=True)
weights.sum().backward()
adam.step()
adam.zero_grad()
"""


def test_adam_steps_without_the_compiler() -> None:
    printed = python(f"{STEP}print(round(float(weights[0]), 3), {HEAVY!r} in sys.modules)")
    assert printed == "0.9 False"


COMPILE = """
import torch._dynamo.config
compiled = torch.compile(lambda x: x + 1, backend="eager")
"""


def test_torch_compile_loads_the_compiler() -> None:
    shown = f"print(round(float(compiled(weights)[0]), 3), {HEAVY!r} in sys.modules)"
    printed = python(STEP + COMPILE + shown)
    assert printed == "1.9 True"


def test_other_attributes_come_from_the_real_module() -> None:
    printed = python("print(torch._dynamo.reset.__module__)")
    assert printed == "torch._dynamo"


def test_two_ranks_with_zero_never_load_the_compiler(shapes: Path, tmp_path: Path) -> None:
    stage = spec(
        shapes,
        growth=GrowthSpec(fade_images=0, steady_images=32),
        engine=EngineSpec(zero=1, precision="fp32"),
    )
    process = start_by_torchrun(stage, tmp_path, 2, (sys.executable, str(LISTING_WORKER)))
    assert process.wait(120) == 0, StageFolder(tmp_path).log.read_text()[-3000:]
    log = StageFolder(tmp_path).log.read_text()
    assert [line for line in log.splitlines() if line.startswith("result ")] == ["result []"] * 2
