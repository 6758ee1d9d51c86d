"""Charts of the scalars in metrics.jsonl: thinned, and grouped by name, known or not."""

import math
import re
from collections.abc import Sequence
from typing import Any

from progan.pipeline.report.document import Chart, Series

POINTS = 2400
"""At most, for a curve over the whole run; a chart is about 600 pixels wide"""
NOT_DRAWN = ("images_seen", "phase", "time", "seconds")
SUFFIXES = ("loss", "logits", "penalty", "grad_norm", "lr", "loss_scale")
"""Names with the same of these endings share a chart"""
PREFIXES = ("swd", "fid", "kid", "ms_ssim")
"""So do names with the same of these beginnings, and others that differ only in a last number"""
HOLDOUT = "holdout"
UNAUGMENTED = {
    "holdout_logits": "held-out reals",
    "train_logits": "training reals",
    "holdout_fake_logits": "fakes",
}
"""Scalars with a chart of their own, and their labels in it"""
CHARTS = {
    "swd": ("Sliced Wasserstein distance", "to the data, by level of detail; lower is better"),
    "fid": ("Fréchet inception distance", "to the data; lower is better"),
    "kid": ("Kernel inception distance", "to the data; lower is better"),
    "ms_ssim": ("MS-SSIM", "between generated pictures; lower is more varied"),
    "ssim": ("SSIM", "between generated pictures; lower is more varied"),
    "geometry_score": ("Geometry Score", "to the data, in topology; lower is better"),
    "loss": ("Losses", "what each network minimises"),
    "logits": ("Critic's scores", "mean over real and over generated pictures"),
    HOLDOUT: (
        "Held-out pictures",
        "mean score, not augmented; the discriminator has learnt its pictures by heart when "
        "held-out reals leave the training reals and approach the fakes",
    ),
    "penalty": ("Penalties", "added to the discriminator's loss"),
    "grad_norm": ("Gradient norms", "before the step, of each network"),
    "alpha": ("Alpha", "share of the newest resolution"),
    "images_per_second": ("Speed", "images per second"),
    "lr": ("Learning rate", "of both networks, or of the generator and the discriminator"),
    "augment_p": ("Augmentation", "probability p of each transformation (ADA)"),
    "loss_scale": ("Loss scale", "of fp16"),
    "data_wait_share": ("Waiting for pictures", "share of the time"),
    "device_memory_bytes": ("GPU memory", "GiB, the peak of the first rank's tensors"),
    "resident_memory_bytes": ("Memory", "GiB, of the first rank's process"),
}
"""Title and hint, in the order of the page; scalars of other names come last"""

UNITS = {"device_memory_bytes": 2.0**30, "resident_memory_bytes": 2.0**30}
"""What a scalar is divided by"""

Tick = dict[str, Any]


def charts(ticks_by_stage: Sequence[tuple[int, list[Tick]]]) -> tuple[Chart, ...]:
    """Charts of all numbers in the ticks.

    ticks_by_stage: for every stage, the images that the run showed before it, and its ticks.
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
    """The key of the chart that shows a scalar."""
    if name in UNAUGMENTED:
        return HOLDOUT
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
    stages = sum(1 for _, ticks in ticks_by_stage if ticks)
    for begins, ticks in ticks_by_stage:
        of_stage = [
            (begins + tick["images_seen"], float(tick[name]) / UNITS.get(name, 1.0))
            for tick in ticks
            if is_number(tick.get(name))
        ]
        points += thinned(of_stage, POINTS // stages)
    return Series(
        name=name,
        label=_label(name),
        at=tuple(at for at, _ in points),
        values=tuple(float(f"{value:.5g}") for _, value in points),
    )


def is_number(value: object) -> bool:
    """Whether a field of a tick is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _label(name: str) -> str:
    """A curve's name within its chart."""
    if name in UNAUGMENTED:
        return UNAUGMENTED[name]
    key = family(name)
    rest = name.removesuffix(f"_{key}") if key in SUFFIXES else name.removeprefix(key).strip("_/.")
    return _in_words(rest) or _in_words(name)


def _in_words(name: str) -> str:
    return re.sub(r"[_/]+", " ", name).strip()


def thinned(points: list[tuple[int, float]], limit: int) -> list[tuple[int, float]]:
    """About `limit` points at most: the first, the last, and the extremes of every section.

    Up to `limit` points are returned as they are.
    """
    if len(points) <= limit:
        return points
    sections = max(1, (limit - 2) // 2)
    kept = {0, len(points) - 1}
    for section in range(sections):
        begin, end = (n * len(points) // sections for n in (section, section + 1))
        kept.add(min(range(begin, end), key=lambda index: points[index][1]))
        kept.add(max(range(begin, end), key=lambda index: points[index][1]))
    return [points[index] for index in sorted(kept)]
