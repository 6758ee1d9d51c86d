"""The figures of metrics.jsonl as charts: thinned, and grouped also where their names are new."""

import math
import re
from collections.abc import Sequence
from typing import Any

from progan.pipeline.report.document import Chart, Series

POINTS = 2400
"""Of one curve over the whole run, at most; a chart is some 600 pixels wide"""
NOT_DRAWN = ("images_seen", "phase", "time", "seconds")
SUFFIXES = ("loss", "logits", "penalty", "grad_norm", "lr")
"""Names that end so share a chart"""
PREFIXES = ("swd", "fid", "kid", "ms_ssim")
"""Names that begin so do; all others do if they differ in a last number only"""
CHARTS = {
    "swd": ("Sliced Wasserstein distance", "to the data, by level of detail; lower is better"),
    "fid": ("Fréchet inception distance", "to the data; lower is better"),
    "kid": ("Kernel inception distance", "to the data; lower is better"),
    "ms_ssim": ("MS-SSIM", "between generated pictures; lower is more varied"),
    "loss": ("Losses", "what each network minimises"),
    "logits": ("Critic's scores", "mean over real and over generated pictures"),
    "penalty": ("Penalties", "added to the discriminator's loss"),
    "grad_norm": ("Gradient norms", "before the step, of each network"),
    "alpha": ("Alpha", "share of the newest resolution"),
    "images_per_second": ("Speed", "images per second"),
    "lr": ("Learning rate", "of both networks, or of the generator and the discriminator"),
}
"""Title and hint, in the order of the page. Figures of other names come after them."""

Tick = dict[str, Any]


def charts(ticks_by_stage: Sequence[tuple[int, list[Tick]]]) -> tuple[Chart, ...]:
    """Charts of all numbers that the ticks have.

    ticks_by_stage: for every stage, the images of the run before it and its ticks.
    """
    names = dict.fromkeys(
        name for _, ticks in ticks_by_stage for tick in ticks for name in tick if _is_drawn(name)
    )
    families: dict[str, list[Series]] = {}
    for name in names:
        series = _series(name, ticks_by_stage)
        if series.at:
            families.setdefault(family(name), []).append(series)
    known = [key for key in CHARTS if key in families]
    new = sorted(key for key in families if key not in CHARTS)
    return tuple(_chart(key, families[key]) for key in [*known, *new])


def _is_drawn(name: str) -> bool:
    return name not in NOT_DRAWN


def family(name: str) -> str:
    """The chart that a figure belongs to."""
    for suffix in SUFFIXES:
        if name == suffix or name.endswith(f"_{suffix}"):
            return suffix
    for prefix in PREFIXES:
        if name.startswith(f"{prefix}_"):
            return prefix
    return re.sub(r"[_/.]?\d+$", "", name) or name


def _chart(key: str, series: list[Series]) -> Chart:
    title, hint = CHARTS.get(key, (_in_words(key).capitalize(), ""))
    return Chart(title=title, hint=hint, series=tuple(series))


def _series(name: str, ticks_by_stage: Sequence[tuple[int, list[Tick]]]) -> Series:
    points: list[tuple[int, float]] = []
    begun = sum(1 for _, ticks in ticks_by_stage if ticks)
    for begins, ticks in ticks_by_stage:
        mine = [
            (begins + tick["images_seen"], float(tick[name]))
            for tick in ticks
            if is_number(tick.get(name))
        ]
        points += thinned(mine, POINTS // begun)
    return Series(
        name=name,
        label=_label(name),
        at=tuple(at for at, _ in points),
        values=tuple(float(f"{value:.5g}") for _, value in points),
    )


def is_number(value: object) -> bool:
    """Whether a field of a tick can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _label(name: str) -> str:
    """What tells a curve from the others of its chart."""
    key = family(name)
    rest = name.removesuffix(f"_{key}") if key in SUFFIXES else name.removeprefix(key).strip("_/.")
    return _in_words(rest) or _in_words(name)


def _in_words(name: str) -> str:
    return re.sub(r"[_/]+", " ", name).strip()


def thinned(points: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """No more than about so many points, among them every part's lowest and highest.

    The first and the last stay too. Where there are few, nothing is left out.
    """
    if len(points) <= most:
        return points
    parts = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for part in range(parts):
        begin, end = part * len(points) // parts, (part + 1) * len(points) // parts
        places = range(begin, end)
        kept.add(min(places, key=lambda place: points[place][1]))
        kept.add(max(places, key=lambda place: points[place][1]))
    return [points[place] for place in sorted(kept)]
