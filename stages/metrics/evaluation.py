"""evaluation.json: what was measured of a finished stage; no torch."""

from collections.abc import Sequence

from pydantic import ValidationError

from progan.datasets.files import sha256_file, write_json
from progan.stages.metrics.names import values_of
from progan.stages.specs.base import Spec
from progan.stages.specs.stage import MetricName, StageSpec
from progan.stages.storage.final import read_final
from progan.stages.storage.stage_folder import StageFolder


class Result(Spec):
    """One metric's values, and what they depend on."""

    metric: MetricName
    at: int
    """Resolution at which pictures were compared. If it is above the stage's own, the fakes were
    enlarged to it (nearest neighbour)."""
    images: int
    """Fakes, and as many reals, that were compared"""
    values: dict[str, float]
    """swd_32, swd_16, ..., swd_mean (all x 1000) | ms_ssim | fid | kid | precision and recall |
    inception_score"""


class Evaluation(Spec):
    """What was measured of the averaged generator in a stage's `final` folder."""

    resolution: int
    images_seen: int
    generator: str
    """SHA-256 of final/ema.safetensors: of other weights this says nothing"""
    results: tuple[Result, ...] = ()
    """One for each metric and resolution at which it was compared, the newest"""


def read_evaluation(folder: StageFolder) -> Evaluation:
    """What is known of a finished stage, which may be nothing; StageError if it is not whole."""
    final = read_final(folder.final)
    nothing = Evaluation(
        resolution=final.resolution,
        images_seen=final.images_seen,
        generator=sha256_file(folder.final / "ema.safetensors"),
    )
    try:
        known = Evaluation.model_validate_json(folder.evaluation.read_bytes())
    except (FileNotFoundError, ValidationError):
        return nothing
    return known if known.generator == nothing.generator else nothing


def add_results(folder: StageFolder, results: Sequence[Result]) -> Evaluation:
    """Write results down, in the place of older ones of the same metrics and resolutions."""
    known = read_evaluation(folder)
    merged = {(r.metric, r.at): r for r in (*known.results, *results)}
    evaluation = known.model_copy(update={"results": tuple(merged.values())})
    write_json(folder.evaluation, evaluation.model_dump(mode="json"))
    return evaluation


def results_at_end(spec: StageSpec, figures: dict[str, float], images: int) -> list[Result]:
    """What a stage's last tick says of its metrics; `images` were compared."""
    measured = {name: values_of(name, figures) for name in spec.metrics.at_end}
    return [
        Result(metric=name, at=spec.resolution, images=images, values=values)
        for name, values in measured.items()
        if values
    ]
