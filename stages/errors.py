"""What can go wrong in a stage, said in a line or two for a person."""


class StageError(RuntimeError):
    """A stage cannot go on; the message says why and what to do."""


class StoppedOnRequestError(StageError):
    """The stage was asked to stop and has written a checkpoint."""


class NotFiniteError(StageError):
    """A loss, penalty or gradient became NaN or infinite; no step was taken."""


class RolledBackError(StageError):
    """The stage diverged; started again, it goes on from before that, with other data."""
