"""`progan track`."""

from pathlib import Path

import click

from progan.pipeline.cli.local_path import LocalPath
from progan.pipeline.cli.output import say


@click.command()
@click.argument("run", type=LocalPath())
@click.option(
    "--to",
    metavar="TRACKER",
    required=True,
    help="tensorboard, wandb, wandb:PROJECT, mlflow or mlflow:URI.",
)
def track(run: Path, to: str) -> None:
    """Send a finished or running run to a tracker.

    What the tracker has already is not sent again: the same command, given later, adds the rest.
    Without URI or PROJECT, those of the run's configuration are taken.
    """
    from progan.pipeline.tracking.track import track as send

    lines = send(run, to)
    say(f"{run} is sent" + (":" if lines else ""))
    for line in lines:
        say(f"  {line}")
