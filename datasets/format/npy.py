"""Arrays as the content of .npy files. Safe to use from threads."""

import io
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

# NumPy parses a header with Python's parser, whose recursion counter CPython 3.11 shares between
# threads: two at once can raise SystemError (python/cpython#106905).
_ONE_PARSER = threading.Lock()


def npy_bytes(array: npt.NDArray[Any]) -> bytes:
    """The array as the content of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def parse_npy(content: bytes) -> npt.NDArray[Any]:
    """The array in the content of an .npy file. Raises EOFError or ValueError if it holds none."""
    with _ONE_PARSER:
        array: npt.NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return array
