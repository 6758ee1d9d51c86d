"""The processors that this process may use, and the threads that a rank reads with."""

import os

MOST_THREADS = 8
SMALL_PICTURE = 64
"""Pixels along a side; below, decoding is mostly Python, which one thread at a time executes"""


def processors() -> int:
    """The number that this process may use: in a container fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def reading_threads(resolution: int, *, remote: bool) -> int:
    """Threads with which a rank reads and decodes pictures of a resolution.

    Its share of the processors less one, which trains: at least 2, at most 8. Small pictures of a
    local data set are read fastest by one. Slurm's tasks may use their own share only, and have no
    LOCAL_WORLD_SIZE.
    """
    if resolution < SMALL_PICTURE and not remote:
        return 1
    share = processors() // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return max(2, min(MOST_THREADS, share - 1))
