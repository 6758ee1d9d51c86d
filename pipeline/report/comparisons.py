"""Tables of the finished stages' metrics; a column holds comparable values only."""

from collections.abc import Mapping, Sequence

from progan.pipeline.report.document import Column, Comparison, Measured
from progan.stages.errors import StageError
from progan.stages.metrics.evaluation import Result, read_evaluation
from progan.stages.metrics.names import METRICS
from progan.stages.storage.stage_folder import StageFolder

HEADINGS = {
    "ms_ssim": "MS-SSIM",
    "ssim": "SSIM",
    "geometry_score": "Geometry ↓",
    "fid": "FID ↓",
    "kid": "KID ↓",
    "precision": "Precision ↑",
    "recall": "Recall ↑",
    "inception_score": "Inception score ↑",
}
"""Column headings, with arrows to the better values; SWD has one per level"""

StageResult = tuple[int, Result]
"""A result, with the resolution of its stage"""


def comparisons(
    folders: Mapping[int, StageFolder], hues: Mapping[int, int]
) -> tuple[Comparison, ...]:
    """A table of each stage at its own resolution, then one per common resolution.

    The first is left out where the others hold all its values. folders, hues: of the stages, by
    ascending resolution.
    """
    found = [
        (resolution, result)
        for resolution, folder in folders.items()
        for result in _results(folder)
    ]
    own = [(resolution, result) for resolution, result in found if result.at == resolution]
    shared = {
        at: _at_one(at, found)
        for at in sorted({result.at for resolution, result in found if result.at > resolution})
    }
    repeated = [entry for entries in shared.values() for entry in entries]
    first = [] if all(entry in repeated for entry in own) else [_comparison(None, own, hues)]
    return (*first, *(_comparison(at, entries, hues) for at, entries in shared.items()))


def _results(folder: StageFolder) -> tuple[Result, ...]:
    """None if the stage is not finished, or its files are damaged."""
    try:
        return read_evaluation(folder).results
    except StageError:
        return ()


def _at_one(at: int, found: Sequence[StageResult]) -> list[StageResult]:
    """Results at a resolution; of its own stage, only those that other stages have too."""
    here = [(resolution, result) for resolution, result in found if result.at == at]
    wanted = {(result.metric, result.images) for resolution, result in here if resolution < at}
    return [entry for entry in here if (entry[1].metric, entry[1].images) in wanted]


def _comparison(
    at: int | None, found: Sequence[StageResult], hues: Mapping[int, int]
) -> Comparison:
    """Columns by number of images, then by metric; those of the finest stage come first."""
    in_order = sorted(
        (result for _, result in reversed(found)),
        key=lambda result: (result.images, METRICS.index(result.metric)),
    )
    columns = dict.fromkeys((result.images, name) for result in in_order for name in result.values)
    values = {
        (resolution, result.images, name): value
        for resolution, result in found
        for name, value in result.values.items()
    }
    return Comparison(
        at=at,
        columns=tuple(Column(heading=_heading(name), images=images) for images, name in columns),
        rows=tuple(
            Measured(
                resolution=resolution,
                hue=hues[resolution],
                values=tuple(values.get((resolution, *column)) for column in columns),
            )
            for resolution in dict.fromkeys(resolution for resolution, _ in found)
        ),
    )


def _heading(name: str) -> str:
    """swd_32 -> SWD 32 ↓"""
    return HEADINGS.get(name) or f"{name.replace('swd_', 'SWD ')} ↓"
