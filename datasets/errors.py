"""What is wrong with the data, told to a person."""


class DataError(RuntimeError):
    """Bad or missing data. The message is one or two lines: what is wrong and what to do about it.

    The command line prints it without a traceback and exits with 3.
    """
