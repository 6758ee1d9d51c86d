"""Errors of data sets and pictures."""


class DataError(RuntimeError):
    """Bad or missing data. The message is one or two lines: what is wrong, and what to do about it.

    The command line prints it without a traceback and exits with code 3.
    """


class NoDataSetError(DataError):
    """There is no data set at the path that was given (exit code 2)."""


class UnusablePicture(ValueError):
    """A file that is not a usable picture. The message gives the reason, without the file's name.
    It is written to `rejected.csv`, so it must be the same in every build."""


class TooSmall(UnusablePicture):
    """A usable picture that is smaller than the data set's top resolution."""


def missing_library(what: str, extra: str) -> DataError:
    """The error to raise when an optional library is not installed."""
    return DataError(f"{what} needs a library that is missing: pip install 'progan[{extra}]'")
