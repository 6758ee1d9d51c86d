"""What a person got wrong in typing or configuring; the command line exits with 2."""


class ConfigError(ValueError):
    """A wrong key, value or combination; the message names the key and where it was given."""


class RunError(RuntimeError):
    """A run cannot do what was asked; the message says why and what to do."""


class CrashedError(RunError):
    """A stage's processes died, which another start may cure."""


class StoppedError(Exception):
    """The run was asked to stop and can be resumed."""

    def __init__(self) -> None:
        super().__init__("stopped; the same command goes on from the last checkpoint")
