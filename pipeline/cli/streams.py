"""Standard output and error that cannot make a command fail: narrow encodings, closed pipes, lost
terminals."""

import io
import os
import sys
from typing import Any


def write_any_character() -> None:
    """Have characters that an output's encoding lacks written as escapes, such as \\xe9."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def outlive_output() -> None:
    """Go on silently when nobody reads the output any longer, as after `| head`."""
    if sys.stdout is not None:
        sys.stdout = Unfailing(sys.stdout)
    if sys.stderr is not None:
        sys.stderr = Unfailing(sys.stderr)


class Unfailing(io.TextIOBase):
    """A text stream; after the first error of the system, what is written to it goes nowhere."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; see the class."""
        try:
            self._stream.write(text)
        except OSError:
            self._give_up()
        return len(text)

    def flush(self) -> None:
        """Flush; see the class."""
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def fileno(self) -> int:
        """The stream's."""
        return int(self._stream.fileno())

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return bool(self._stream.isatty())

    def writable(self) -> bool:
        """True."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's."""
        return str(self._stream.encoding)

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """The stream's."""
        return self._stream.errors  # type: ignore[no-any-return]

    def _give_up(self) -> None:
        """Lead the file descriptor to nowhere: what the stream still holds goes there, too."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
