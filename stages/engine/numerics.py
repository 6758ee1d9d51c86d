"""How CUDA computes in this process: TF32, cuDNN's choice of algorithms, determinism."""

import os

import torch

from progan.stages.specs.stage import EngineSpec


def set_numerics(engine: EngineSpec) -> None:
    """Set torch's global switches as a stage's engine says, before its first step.

    torch's own defaults are TF32 in convolutions and float32 in matrix products.
    """
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = engine.tf32
    # A stage has few shapes and many steps: trying all of cuDNN's algorithms pays. Which one wins
    # differs from run to run.
    torch.backends.cudnn.benchmark = not engine.deterministic
    if engine.deterministic:
        torch.use_deterministic_algorithms(
            True
        )  # loads the compiler, so it is called for this only
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch asks for it
