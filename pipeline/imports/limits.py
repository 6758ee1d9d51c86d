"""What reading a file may take: memory in proportion to its size, and one line for an error."""

import mmap
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from progan.datasets.build.sandboxed_decoder import address_space

_BASE = 1 << 30
_PER_BYTE = 16
"""Copies of a checkpoint's numbers: as read, as float32, scaled, in networks, and written"""


@contextmanager
def mapped(file: Path) -> Iterator[mmap.mmap]:
    """A file's content, to read: asked for exabytes, it gives what there is, not a MemoryError."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as view:
        yield view


def reason(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, MemoryError):
        return "it takes far more memory than a checkpoint of its size"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


@contextmanager
def memory_for(file: Path) -> Iterator[None]:
    """Limit what this process may allocate in the block to a small multiple of the file's size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [address_space() + _BASE + _PER_BYTE * file.stat().st_size, soft, hard]
    smallest = min(limit for limit in limits if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (smallest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
