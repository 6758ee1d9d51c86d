"""What went wrong in starting processes, told to a person."""


class LaunchError(RuntimeError):
    """A job could not be started; the message says why and what to do."""
