"""Whether the host waits for the GPU."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch


@contextmanager
def no_waits() -> Iterator[None]:
    """An error where the host waits for the device: within torch, or by torch.cuda.synchronize.

    torch's debug mode does not see calls of the latter, as DeepSpeed's timers make them.
    """
    calls = 0

    def synchronize(*arguments: Any, **keywords: Any) -> None:
        nonlocal calls
        calls += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "synchronize", synchronize)
        set_debug_mode("error")
        try:
            yield
        finally:
            set_debug_mode("default")
    assert calls == 0, f"{calls} calls of torch.cuda.synchronize"


def set_debug_mode(mode: str) -> None:
    """torch's, which warns that it does not see everything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode(mode)
