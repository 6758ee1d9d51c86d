"""Errors of a stage; their messages are a line or two for the user."""

from progan.datasets.errors import DataError


class StageError(RuntimeError):
    """A stage cannot continue; the message says why and what to do."""


class StoppedOnRequestError(StageError):
    """The stage was asked to stop and has written a checkpoint."""


class NetworksError(StageError, DataError):
    """A folder of networks is damaged or malformed: bad data, for the command line too."""


class NoNetworksError(NetworksError):
    """There are no networks in the folder that was given (exit code 2)."""


class NotFiniteError(StageError):
    """A loss, penalty or gradient is NaN or infinite; nothing was written after that step.

    end: position in the stream of images after that step.
    """

    def __init__(self, message: str, end: int) -> None:
        super().__init__(message)
        self.end = end


class RolledBackError(StageError):
    """The stage diverged; started again, it resumes from a checkpoint, with other data."""


class MetricError(RuntimeError):
    """A metric could not be computed; training continues. The message is one line."""
