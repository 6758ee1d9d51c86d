"""The metrics by name, and what each of them measures; no torch."""

METRICS = ("swd", "ms_ssim", "fid", "kid", "precision_recall", "inception_score")
"""All of them; `spec.MetricName` says the same to the type checker"""
SWD_SMALLEST = 16
"""Side of the smallest level that sliced Wasserstein distances are taken of"""


def fits(name: str, resolution: int) -> bool:
    """Whether a metric is defined for pictures of a resolution."""
    return name != "swd" or resolution >= SWD_SMALLEST


def images_compared(wanted: int, num_samples: int) -> int:
    """Fakes, and as many reals, that are compared with a data set of so many: an even number."""
    return min(wanted, num_samples) // 2 * 2


def values_of(name: str, figures: dict[str, float]) -> dict[str, float]:
    """Those of the figures that belong to a metric: `swd` has one for each level, and a mean."""
    own = ("precision", "recall") if name == "precision_recall" else (name,)
    return {
        key: value
        for key, value in figures.items()
        if key in own or (name == "swd" and key.startswith("swd_"))
    }
