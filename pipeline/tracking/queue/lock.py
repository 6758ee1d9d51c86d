"""One sender for each run and destination: two would send everything twice."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from progan.pipeline.run_folder import RunFolder
from progan.pipeline.tracking.queue.destination import Destination, TrackingError


@contextmanager
def sending_lock(run: RunFolder, destination: Destination) -> Iterator[None]:
    """Held while a run is sent to a destination; TrackingError if another process holds it."""
    digest = hashlib.sha256(destination.target.encode()).hexdigest()[:8]
    with (run.path / f".tracking-{digest}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrackingError(
                f"another progan sends {run.path} to {destination.title} already, "
                "and will send what the run still gets"
            ) from error
        yield
