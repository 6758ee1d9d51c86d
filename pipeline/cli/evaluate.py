"""`progan evaluate`; no torch before it runs."""

from pathlib import Path
from typing import Any

import click

from progan.pipeline.cli.completion import RunPath
from progan.pipeline.cli.local_path import LocalPath
from progan.pipeline.cli.output import json_option, show
from progan.stages.metrics.names import METRICS


def metric_names(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[str, ...] | None:
    """swd,fid -> ("swd", "fid")"""
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in METRICS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(METRICS)}")
    return names


@click.command()
@click.argument("run", type=RunPath())
@click.option(
    "--metrics",
    callback=metric_names,
    metavar="NAME[,NAME]...",
    help=f"What to measure: {', '.join(METRICS)}.  [default: the run's metrics.at_end]",
)
@click.option("--stage", type=int, help="Resolution of one stage.  [default: all finished stages]")
@click.option(
    "--at",
    type=int,
    metavar="RESOLUTION",
    help="Compare all stages at this resolution, enlarging smaller pictures.  "
    "[default: each stage at its own]",
)
@click.option(
    "--images",
    type=click.IntRange(2),
    help="Number of fakes, and of reals.  [default: the run's metrics.images]",
)
@click.option(
    "--inception-weights",
    type=LocalPath(dir_okay=False),
    help="InceptionV3's weights; fid, kid, precision_recall and inception_score need them.  "
    "[default: the run's metrics.inception_weights]",
)
@click.option(
    "--data", help="Where the data set is now, if it was moved.  [default: the run's data.path]"
)
@json_option
def evaluate(run: Path, as_json: bool, **options: Any) -> None:
    """Measure the quality of a run's finished stages.

    Pictures of each stage's averaged generator (fakes) are compared with the data set (reals).

    \b
    swd               sliced Wasserstein distance x 1000 by level, from 16x16 on; 0 is best
    ms_ssim, ssim     similarity of pairs of fakes; low is varied, near 1 is mode collapse
    geometry_score    difference of the two sets' topology x 1000; 0 is best
    fid, kid          distance of InceptionV3's features; 0 is best
    precision_recall  fakes that look real; reals that could be a fake; 1 is best
    inception_score   clear and varied classes; high is best

    By default each stage is compared with the pictures that it was trained on, at its resolution.
    To compare stages with each other, use --at with the last resolution.

    The values are also written to RUN/stages/NNNN/evaluation.json. Exit code 1 if nothing could be
    measured. With
    --json: {"run": ..., "stages": [{"resolution", "images_seen", "generator": SHA-256 of its
    weights, "results": [{"metric", "at": resolution, "images": compared, "values": {name:
    number}}], "left_out": {metric: reason}}]}.

    \b
    progan evaluate runs/faces
    progan evaluate runs/faces --at 256 --metrics swd,fid --inception-weights inception.pth
    """
    from progan.pipeline.cli.views.evaluate import evaluation_table, stage_bars
    from progan.pipeline.errors import RunError
    from progan.pipeline.evaluate import EvaluateOptions
    from progan.pipeline.evaluate import evaluate as evaluate_run
    from progan.pipeline.run_folder import existing_run

    folder = existing_run(run)
    with stage_bars() as on_progress:
        document = evaluate_run(folder, EvaluateOptions(**options), on_progress)
    show(document, evaluation_table, as_json)
    if not any(stage["results"] for stage in document["stages"]):
        raise RunError(f"nothing was measured: {_why(document)}")


def _why(document: dict[str, Any]) -> str:
    """The reasons in one line."""
    left_out = [item for stage in document["stages"] for item in stage["left_out"].items()]
    reasons = dict.fromkeys(f"{name}: {reason}" for name, reason in left_out)
    return "; ".join(reasons) or "no metric is named, neither by --metrics nor by metrics.at_end"
