"""Reads the pickles of the official TensorFlow code without running code from the file.

A pickle can call any class or function that it names. Here it can name only those in ALLOWED:
stand-ins that keep their arguments.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from progan.datasets.errors import DataError
from progan.pipeline.imports.limits import mapped, reason
from progan.pipeline.imports.pickle_limits import require_modest

NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


class PickledNetwork:
    """Stand-in for tfutil.Network; `state` is what its `__getstate__` returned."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state


class PickledDtype:
    """Stand-in for numpy.dtype, of numbers only."""

    def __init__(self, code: str, *flags: Any) -> None:
        if code not in NUMBERS:
            raise pickle.UnpicklingError(f"it holds arrays of {code!r}, which are no numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """Stand-in for numpy.ndarray; `value` is the array."""

    value: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        data = raw.encode("latin1") if isinstance(raw, str) else raw
        self.value = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")


def empty_array(kind: Any, shape: Any, code: Any) -> PickledArray:
    """Stand-in for NumPy's `_reconstruct`, whose result gets its content by `__setstate__`."""
    return PickledArray()


def scalar(dtype: PickledDtype, raw: bytes) -> Any:
    """Stand-in for NumPy's `scalar`."""
    return np.frombuffer(raw, dtype.dtype)[0].item()


ALLOWED: dict[tuple[str, str], Any] = {
    ("tfutil", "Network"): PickledNetwork,
    ("config", "EasyDict"): dict,
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledDtype,
    ("numpy.core.multiarray", "_reconstruct"): empty_array,
    ("numpy.core.multiarray", "scalar"): scalar,
    ("numpy._core.multiarray", "_reconstruct"): empty_array,
    ("numpy._core.multiarray", "scalar"): scalar,
}


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that can only use the names in ALLOWED."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name in the file; UnpicklingError for any other name."""
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which the networks of the official code do not need"
            ) from None


def read_networks(path: Path) -> tuple[PickledNetwork, ...]:
    """The generator, discriminator and averaged generator in a pickle of the official code.

    DataError if it is damaged, of another program or malicious.
    """
    try:
        with mapped(path) as content:
            require_modest(content)
            content.seek(0)
            loaded = RestrictedUnpickler(content, encoding="latin1").load()
    except OSError:
        raise
    except Exception as error:  # damaged files raise many types
        raise DataError(f"no pickle of the official code, or damaged: {reason(error)}") from error
    is_valid = (
        isinstance(loaded, tuple | list)
        and len(loaded) == 3
        and all(isinstance(network, PickledNetwork) for network in loaded)
        and all(isinstance(getattr(network, "state", None), dict) for network in loaded)
    )
    if not is_valid:
        raise DataError("it does not hold the official code's three networks (G, D, Gs)")
    return tuple(loaded)
