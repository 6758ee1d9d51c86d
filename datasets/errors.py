"""What is wrong with the data, told to a person."""


class DataError(RuntimeError):
    """Bad or missing data. The message is one or two lines: what is wrong and what to do about it.

    The command line prints it without a traceback and exits with 3.
    """


class UnusablePicture(ValueError):
    """A file that is not a picture we can use. The message says why, not which, and is the same
    every time: it is written to `rejected.csv`."""


class TooSmall(UnusablePicture):
    """A good picture with fewer pixels than the data set is to have."""


def missing_library(what: str, extra: str) -> DataError:
    """The error to raise when an optional library is not installed."""
    return DataError(f"{what} needs a library that is missing: pip install 'progan[{extra}]'")
