"""The metrics by name, where they are defined, and their values; no torch."""

from progan.stages.metrics.sizes import SWD_SMALLEST

METRICS = (
    "swd", "ms_ssim", "ssim", "geometry_score", "fid", "kid", "precision_recall", "inception_score",
)  # fmt: skip
"""All of them; the same as specs/stage.py's MetricName"""


def fits(name: str, resolution: int) -> bool:
    """Whether a metric is defined for pictures of a resolution."""
    return name != "swd" or resolution >= SWD_SMALLEST


def images_compared(wanted: int, num_samples: int) -> int:
    """Fakes compared with as many reals of a data set of `num_samples`: an even number."""
    return min(wanted, num_samples) // 2 * 2


def values_of(name: str, scalars: dict[str, float]) -> dict[str, float]:
    """The scalars that belong to a metric: `swd` has one for each level, and a mean."""
    own = ("precision", "recall") if name == "precision_recall" else (name,)
    return {
        key: value
        for key, value in scalars.items()
        if key in own or (name == "swd" and key.startswith("swd_"))
    }
