"""Errors in starting processes; their messages are for the user."""


class LaunchError(RuntimeError):
    """A job could not be started; the message says why and what to do."""


class LaunchConfigError(LaunchError):
    """The hostfile is wrong, or the `launch:` group does not fit it (exit code 2)."""


class UnreachableError(LaunchError):
    """A machine does not answer; trying again later may succeed."""
