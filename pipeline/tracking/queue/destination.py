"""What a tracker can be sent to: the interface of MLflow, TensorBoard and W&B."""

from typing import Literal, Protocol

Status = Literal["RUNNING", "FINISHED", "KILLED", "FAILED"]
"""A run's state, in MLflow's words; KILLED: stopped on request, to be resumed."""


class TrackingError(RuntimeError):
    """A tracker refuses a run; the message says why and what to do."""


class Destination(Protocol):
    """Takes what a run's folder has and it does not. All calls can be repeated after an error."""

    @property
    def title(self) -> str:
        """Its name, for messages."""

    @property
    def target(self) -> str:
        """What `progan track --to` calls it."""

    def send(self) -> None:
        """Send what is new."""

    def end(self, status: Status) -> None:
        """Send what is new, and mark the run as ended; after that only `send` may follow."""

    def forget(self) -> None:
        """Drop what is known of the other side, after an error; the next call asks again."""

    def abandon(self) -> None:
        """Free what would keep this process from exiting, when `end` does not return in time."""
