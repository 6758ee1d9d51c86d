"""Figures over seeds: their spread, and whether a remedy helps in spite of it."""

import statistics


def spread(values: list[float], factor: float = 1, digits: int = 1) -> str:
    """mean (least-most), each times the factor."""
    numbers = statistics.mean(values), min(values), max(values)
    mean, least, most = (f"{factor * number:.{digits}f}" for number in numbers)
    return f"{mean} ({least}-{most})"


def helps(modes: list[float], without: list[float]) -> str:
    """Whether a remedy's seeds all cover more modes than all of its baseline's."""
    if min(modes) > max(without):
        return "yes"
    return "no" if statistics.mean(modes) <= statistics.mean(without) else "within the spread"
