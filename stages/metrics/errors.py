"""Why a metric has no value."""


class MetricError(RuntimeError):
    """A metric could not be computed; training goes on without it. The message is one line."""
