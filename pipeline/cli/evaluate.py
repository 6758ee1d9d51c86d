"""`progan evaluate`; no torch before it runs."""

from pathlib import Path
from typing import Any

import click

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
@click.argument("run", type=LocalPath())
@click.option(
    "--metrics",
    callback=metric_names,
    metavar="NAME[,NAME]...",
    help=f"Of {', '.join(METRICS)}.  [default: the run's metrics.at_end]",
)
@click.option("--stage", type=int, help="Only this one.  [default: all that are finished]")
@click.option(
    "--at",
    type=int,
    metavar="RESOLUTION",
    help="Compare there, fakes of smaller stages enlarged.  [default: at each stage's own]",
)
@click.option(
    "--images",
    type=click.IntRange(2),
    help="Fakes, and as many reals.  [default: the run's metrics.images]",
)
@click.option(
    "--inception-weights",
    type=LocalPath(dir_okay=False),
    help="For all but swd and ms_ssim.  [default: the run's metrics.inception_weights]",
)
@click.option("--data", help="The data set, if it was moved.  [default: the run's data.path]")
@json_option
def evaluate(run: Path, as_json: bool, **options: Any) -> None:
    """Measure the averaged generators of a run's finished stages against the data set.

    \b
    swd               sliced Wasserstein distance x 1000 by level, from 16x16 on; 0 is best
    ms_ssim           similarity of pairs of fakes; low is varied, near 1 is mode collapse
    fid, kid          distance of InceptionV3's features; 0 is best
    precision_recall  fakes that look real; reals that could be a fake; 1 is best
    inception_score   clear and varied classes; high is best

    At its own resolution every stage is compared with what it was trained on. To see whether
    growing pays, use --at with the last resolution: all stages against the same pictures.

    The values are written to stages/NNNN/evaluation.json, too; exit code 1 if there is none. With
    --json: {"run": ..., "stages": [{"resolution", "images_seen", "generator": SHA-256 of its
    weights, "results": [{"metric", "at": resolution, "images": compared, "values": {name:
    number}}], "left_out": {metric: reason}}]}.

    \b
    progan evaluate runs/faces
    progan evaluate runs/faces --at 256 --metrics swd,fid --inception-weights inception.pth
    """
    from progan.pipeline.cli.evaluate_view import evaluation_table, stage_bars
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
