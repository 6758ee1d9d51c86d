"""The signals that stop a run: the workers write a checkpoint and end, exit code 75."""

import signal
from collections.abc import Callable

from progan.pipeline.errors import StoppedError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals() -> None:
    """Let SIGTERM, and SIGHUP of a closed terminal, stop a run as Ctrl-C does.

    The next one raises StoppedError too, for a user who does not want to wait for trackers and
    copies. Under nohup SIGHUP stays ignored.
    """

    def stop(number: int, frame: object) -> None:
        raise StoppedError

    _handle(stop)


def ignore_stop_signals() -> None:
    """Keep the exit code of a process that has stopped and is ending: a signal would replace it."""
    _handle(signal.SIG_IGN)


def _handle(handler: Callable[[int, object], None] | signal.Handlers) -> None:
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)
