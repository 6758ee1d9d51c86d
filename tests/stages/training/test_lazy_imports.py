"""What a worker does not load."""

import subprocess
import sys

HEAVY = "torch._dynamo.symbolic_convert"


START = """
import sys
import torch
from progan.stages.training.lazy_imports import leave_out_compiler
leave_out_compiler()
"""


def python(code: str) -> str:
    """What a new interpreter prints."""
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
    said = python(f"{STEP}print(round(float(weights[0]), 3), {HEAVY!r} in sys.modules)")
    assert said == "0.9 False"


COMPILE = """
import torch._dynamo.config
compiled = torch.compile(lambda x: x + 1, backend="eager")
"""


def test_whoever_wants_the_compiler_gets_it() -> None:
    shown = f"print(round(float(compiled(weights)[0]), 3), {HEAVY!r} in sys.modules)"
    said = python(STEP + COMPILE + shown)
    assert said == "1.9 True"


def test_any_other_name_of_it_is_the_true_one() -> None:
    said = python("print(torch._dynamo.reset.__module__)")
    assert said == "torch._dynamo"
