"""Keeps a worker from loading what it does not use: half of the time until its first step."""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


class Compiler(ModuleType):
    """Stands in for torch's compiler until something is to be compiled.

    torch's optimisers load the compiler, symbolic algebra included, only to exempt themselves from
    it. Access to any other name of this module loads the real one.
    """

    def disable(self, function: Callable[..., Any], *_: object, **__: object) -> Callable[..., Any]:
        """Nothing compiles it."""
        return function

    def graph_break(self) -> None:
        """There is no graph."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(COMPILER) is self:
            del sys.modules[COMPILER]
        return getattr(importlib.import_module(COMPILER), name)


def leave_out_compiler() -> None:
    """Have torch's compiler loaded only when something is to be compiled.

    To be called when torch is loaded and the process group made, both of which look for it.
    """
    sys.modules.setdefault(COMPILER, Compiler(COMPILER))


def leave_out_muon_kernels() -> None:
    """Keep DeepSpeed from compiling its Muon optimizer, which loads torch's compiler.

    To be called before `deepspeed.initialize`: with ZeRO 1 and 2 that imports Muon, whose kernels
    are decorated with `deepspeed.runtime.compiler.compile()`.
    """
    compiler = importlib.import_module("deepspeed.runtime.compiler")
    compiler.compile = lambda: lambda function: function  # type: ignore[attr-defined]


def leave_out_mlflow() -> None:
    """Keep DeepSpeed from loading MLflow for its autotuner."""
    sys.modules["mlflow"] = None  # type: ignore[assignment]
