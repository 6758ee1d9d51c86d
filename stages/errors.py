"""What can go wrong in a stage, said in a line or two for a person."""


class StageError(RuntimeError):
    """A stage cannot go on; the message says why and what to do."""


class StoppedOnRequestError(StageError):
    """The stage was asked to stop and has written a checkpoint."""


class NotFiniteError(StageError):
    """A loss, penalty or gradient became NaN or infinite; nothing was written since.

    end: position in the stream of images after the step that it happened in.
    """

    def __init__(self, message: str, end: int) -> None:
        super().__init__(message)
        self.end = end


class RolledBackError(StageError):
    """The stage diverged; started again, it goes on from before that, with other data."""


class MetricError(RuntimeError):
    """A metric could not be computed; training goes on without it. The message is one line."""
