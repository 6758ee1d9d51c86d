"""What finished stages were measured at, as tables: only what may be compared stands together."""

from collections.abc import Mapping, Sequence

from progan.pipeline.report.document import Column, Comparison, Measured
from progan.stages.errors import StageError
from progan.stages.metrics.evaluation import Result, read_evaluation
from progan.stages.metrics.names import METRICS
from progan.stages.storage.stage_folder import StageFolder

HEADINGS = {
    "ms_ssim": "MS-SSIM",
    "fid": "FID ↓",
    "kid": "KID ↓",
    "precision": "Precision ↑",
    "recall": "Recall ↑",
    "inception_score": "Inception score ↑",
}
"""Of values, and where the better ones lie; SWD has one for each level"""

Found = tuple[int, Result]
"""What was measured, and the resolution of its stage"""


def comparisons(
    folders: Mapping[int, StageFolder], hues: Mapping[int, int]
) -> tuple[Comparison, ...]:
    """Each stage at its own resolution, then all at one, for each that was asked for.

    Where all that is known of the former is said by the latter, it is said once.
    folders, hues: of the stages, by resolution, rising.
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
    said = [entry for entries in shared.values() for entry in entries]
    alone = [] if all(entry in said for entry in own) else [_comparison(None, own, hues)]
    return (*alone, *(_comparison(at, entries, hues) for at, entries in shared.items()))


def _results(folder: StageFolder) -> tuple[Result, ...]:
    """None of a stage that is not finished, or not whole."""
    try:
        return read_evaluation(folder).results
    except StageError:
        return ()


def _at_one(at: int, found: Sequence[Found]) -> list[Found]:
    """What is known at a resolution; of its own stage, what others can be compared with."""
    here = [(resolution, result) for resolution, result in found if result.at == at]
    wanted = {(result.metric, result.images) for resolution, result in here if resolution < at}
    return [entry for entry in here if (entry[1].metric, entry[1].images) in wanted]


def _comparison(at: int | None, found: Sequence[Found], hues: Mapping[int, int]) -> Comparison:
    """A column for each figure that there is: fewest images first, then by metric, finest first."""
    in_order = sorted(
        (result for _, result in reversed(found)),
        key=lambda result: (result.images, METRICS.index(result.metric)),
    )
    columns = dict.fromkeys((result.images, name) for result in in_order for name in result.values)
    known = {
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
                values=tuple(known.get((resolution, *column)) for column in columns),
            )
            for resolution in dict.fromkeys(resolution for resolution, _ in found)
        ),
    )


def _heading(name: str) -> str:
    """swd_32 -> SWD 32 and where the better values lie."""
    return HEADINGS.get(name) or f"{name.replace('swd_', 'SWD ')} ↓"
