"""Reads the pickles of the official TensorFlow code; nothing in the file can make it run code.

A pickle is a program for a small machine, whose way out is to call what it names. Here it can name
only the classes below: stand-ins that keep what they are given.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from progan.pipeline.errors import RunError

NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


class PickledNetwork:
    """tfutil.Network: `state` as its `__getstate__` made it."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state


class PickledDtype:
    """numpy.dtype, of plain numbers only."""

    def __init__(self, code: str, *flags: Any) -> None:
        if code not in NUMBERS:
            raise pickle.UnpicklingError(f"it holds arrays of {code!r}, which are no numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """numpy.ndarray; `value` is the array."""

    value: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, raw = state
        data = raw.encode("latin1") if isinstance(raw, str) else raw
        self.value = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if fortran else "C")


def empty_array(kind: Any, shape: Any, code: Any) -> PickledArray:
    """What NumPy's pickles begin an array with."""
    return PickledArray()


def scalar(kind: PickledDtype, raw: bytes) -> Any:
    """A NumPy number."""
    return np.frombuffer(raw, kind.dtype)[0].item()


KNOWN: dict[tuple[str, str], Any] = {
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


class Restricted(pickle.Unpickler):
    """An unpickler that knows the names above and no other."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name in the file; anything else ends the reading."""
        try:
            return KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module}.{name}, which the networks of the official code do not need"
            ) from None


def read_networks(path: Path) -> tuple[PickledNetwork, ...]:
    """The generator, discriminator and averaged generator in a pickle of the official code.

    RunError if it is damaged, foreign or malicious; what it names is then not loaded.
    """
    try:
        with path.open("rb") as file:
            loaded = Restricted(file, encoding="latin1").load()
    except OSError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise RunError(f"{path} is no pickle of the official code, or damaged: {reason}") from error
    whole = (
        isinstance(loaded, tuple | list)
        and len(loaded) == 3
        and all(isinstance(network, PickledNetwork) for network in loaded)
        and all(isinstance(getattr(network, "state", None), dict) for network in loaded)
    )
    if not whole:
        raise RunError(f"{path} does not hold the official code's three networks (G, D, Gs)")
    return tuple(loaded)
