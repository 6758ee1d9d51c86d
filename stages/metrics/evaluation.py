"""evaluation.json: the metrics of a finished stage; no torch."""

import logging
from collections.abc import Sequence

from pydantic import ValidationError

from progan.datasets.files import sha256_file, write_json
from progan.stages.metrics.names import values_of
from progan.stages.specs.base import Spec, first_problem
from progan.stages.specs.stage import MetricName, StageSpec
from progan.stages.storage.final import read_final
from progan.stages.storage.stage_folder import StageFolder

log = logging.getLogger(__name__)


class Result(Spec):
    """One metric's values, and the settings that they depend on."""

    metric: MetricName
    at: int
    """Resolution at which pictures were compared; above the stage's own, the fakes were enlarged to
    it (nearest neighbour)"""
    images: int
    """Number of fakes, and of reals, that were compared"""
    values: dict[str, float]
    """swd_32, swd_16, ..., swd_mean (all x 1000) | ms_ssim | ssim | geometry_score (x 1000) | fid |
    kid | precision and recall | inception_score"""


class Evaluation(Spec):
    """Metrics of the averaged generator in a stage's `final` folder."""

    resolution: int
    images_seen: int
    generator: str
    """SHA-256 of final/ema.safetensors: the results hold for these weights only"""
    results: tuple[Result, ...] = ()
    """The newest for each metric and resolution"""


def read_evaluation(folder: StageFolder) -> Evaluation:
    """The results of a finished stage, if any; StageError if its `final` folder is damaged."""
    final = read_final(folder.final)
    empty = Evaluation(
        resolution=final.resolution,
        images_seen=final.images_seen,
        generator=sha256_file(folder.final / "ema.safetensors"),
    )
    try:
        known = Evaluation.model_validate_json(folder.evaluation.read_bytes())
    except FileNotFoundError:
        return empty
    except ValidationError as error:
        log.warning("%s is damaged, so replaced: %s", folder.evaluation, first_problem(error))
        return empty
    return known if known.generator == empty.generator else empty


def add_results(folder: StageFolder, results: Sequence[Result]) -> Evaluation:
    """Write results, replacing older ones of the same metric and resolution."""
    known = read_evaluation(folder)
    merged = {(r.metric, r.at): r for r in (*known.results, *results)}
    evaluation = known.model_copy(update={"results": tuple(merged.values())})
    write_json(folder.evaluation, evaluation.model_dump(mode="json"))
    return evaluation


def results_at_end(spec: StageSpec, tick: dict[str, float], images: int) -> list[Result]:
    """The results in a stage's last tick; `images` fakes were compared."""
    measured = {name: values_of(name, tick) for name in spec.metrics.at_end}
    return [
        Result(metric=name, at=spec.resolution, images=images, values=values)
        for name, values in measured.items()
        if values
    ]
