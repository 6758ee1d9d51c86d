"""Errors of data sets and pictures."""

from progan.datasets.names import shown

_LONGEST_MESSAGE = 2000


def short(message: str) -> str:
    """A message without control characters, and without its middle if it is very long: names from
    outside may be of any length."""
    text = shown(message)
    if len(text) > _LONGEST_MESSAGE:
        text = f"{text[: _LONGEST_MESSAGE // 2]} ... {text[-_LONGEST_MESSAGE // 2 :]}"
    return text


class DataError(RuntimeError):
    """Bad or missing data. The message is one or two lines: what is wrong, and what to do about it.

    The command line prints it without a traceback and exits with code 3. Names from outside may
    hold control characters, which are escaped, and be of any length.
    """

    def __init__(self, message: str) -> None:
        super().__init__(short(message))


class NoDataSetError(DataError):
    """There is no data set, or no source of one, at the path that was given (exit code 2)."""


class UnusablePicture(ValueError):
    """A file that is not a usable picture. The message gives the reason, without the file's name.
    It is written to `rejected.csv`, so it must be the same in every build."""


class TooSmall(UnusablePicture):
    """A usable picture that is smaller than the data set's top resolution."""


def missing_library(what: str, extra: str) -> DataError:
    """The error to raise when an optional library is not installed."""
    return DataError(f"{what} needs a library that is missing: pip install 'progan[{extra}]'")
