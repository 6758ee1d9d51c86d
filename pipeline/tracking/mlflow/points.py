"""Lines of metrics as MLflow metrics, in batches within its limit."""

from collections.abc import Iterator, Sequence
from typing import Any

from progan.pipeline.tracking.mlflow.names import key
from progan.pipeline.tracking.queue.history import scalars

MAX_METRICS = 1000
"""MLflow's limit for one request"""


def points(line: dict[str, Any], step: int, prefix: str = "") -> list[Any]:
    """One line's numbers as MLflow metrics."""
    from mlflow.entities import Metric

    milliseconds = round(line["time"] * 1000)
    return [
        Metric(key(prefix + name), value, milliseconds, step)
        for name, value in scalars(line).items()
    ]


def batches(lines: Sequence[list[Any]]) -> Iterator[tuple[int, list[Any]]]:
    """Group whole lines into requests: (number of lines, their points)."""
    count, batch = 0, list[Any]()
    for line in lines:
        if count and len(batch) + len(line) > MAX_METRICS:
            yield count, batch
            count, batch = 0, []
        count, batch = count + 1, batch + line
    if count:
        yield count, batch
