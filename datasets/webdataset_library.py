"""The webdataset library, loaded without torch.

Where torch is installed, webdataset derives its classes from torch's `IterableDataset`. Importing
torch takes 1.6 s of processor time and 200 MB in every process of a build, and a build needs
neither. webdataset has a path for machines without torch; this module takes it.
"""

import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

_lock = threading.Lock()
_loaded: list[Any] = []


def webdataset() -> Any:
    """The package `webdataset`. It loads torch only if this process has loaded torch already."""
    with _lock:
        if not _loaded:
            _loaded.append(_import())
        return _loaded[0]


def _import() -> ModuleType:
    if "torch" in sys.modules or "webdataset" in sys.modules:
        return import_module("webdataset")
    finder = _WithoutTorch()
    sys.meta_path.insert(0, finder)
    try:
        return import_module("webdataset")
    finally:
        sys.meta_path.remove(finder)
        # Other code of this process that imports webdataset gets the one with torch.
        for name in [name for name in sys.modules if name.partition(".")[0] == "webdataset"]:
            del sys.modules[name]


class _WithoutTorch(MetaPathFinder):
    """Makes `import torch` fail in the thread that creates it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """Raises ModuleNotFoundError for torch; leaves every other module to other finders."""
        if fullname == "torch" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("torch is not loaded here", name="torch")
