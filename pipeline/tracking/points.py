"""Lines of figures as MLflow's points, in batches that it takes."""

from collections.abc import Iterator, Sequence
from typing import Any

POINTS_AT_ONCE = 1000
"""MLflow takes no more metrics in one request."""
NOT_POINTS = ("phase", "time")


def points(line: dict[str, Any], step: int, prefix: str = "") -> list[Any]:
    """One line's numbers as MLflow's metrics."""
    from mlflow.entities import Metric

    when = round(line["time"] * 1000)
    return [
        Metric(prefix + name, float(value), when, step)
        for name, value in line.items()
        if name not in NOT_POINTS and isinstance(value, int | float)
    ]


def batches(lines: Sequence[list[Any]]) -> Iterator[tuple[int, list[Any]]]:
    """Whole lines together, as many as fit into a request; how many lines, and their points."""
    count, batch = 0, list[Any]()
    for line in lines:
        if count and len(batch) + len(line) > POINTS_AT_ONCE:
            yield count, batch
            count, batch = 0, []
        count, batch = count + 1, batch + line
    if count:
        yield count, batch
