"""Errors of a run: a wrong configuration, a failure, a stop on request."""


class ConfigError(ValueError):
    """A wrong key, value or combination; the message names the key and its source (exit code 2)."""


class RunError(RuntimeError):
    """A run cannot do what was asked; the message says why and what to do."""


class CrashedError(RunError):
    """A stage's processes died; a restart may succeed."""


class StoppedError(Exception):
    """The run was asked to stop and can be resumed."""

    def __init__(self) -> None:
        super().__init__("stopped; the same command goes on from the last checkpoint")
