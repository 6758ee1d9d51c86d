"""torch's switches for CUDA follow the stage's engine, in a process of their own."""

import subprocess
import sys

import pytest

PROGRAM = """
import json, sys, torch
from progan.stages.engine.numerics import set_numerics
from progan.stages.specs.stage import EngineSpec
set_numerics(EngineSpec.model_validate_json(sys.argv[1]))
cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
print(cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark,
      torch.are_deterministic_algorithms_enabled())
"""


@pytest.mark.parametrize(
    ("engine", "tf32", "benchmark", "deterministic"),
    [
        ("{}", False, True, False),
        ('{"tf32": true}', True, True, False),
        ('{"deterministic": true}', False, False, True),
    ],
)
def test_switches_follow_the_engine(
    engine: str, tf32: bool, benchmark: bool, deterministic: bool
) -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, engine], check=True, capture_output=True, text=True
    )
    assert found.stdout.split() == [str(x) for x in (tf32, tf32, benchmark, deterministic)]
