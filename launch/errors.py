"""What went wrong in starting processes, told to a person."""


class LaunchError(RuntimeError):
    """A job could not be started; the message says why and what to do."""


class UnreachableError(LaunchError):
    """A machine does not answer, which may be another matter in a while."""
