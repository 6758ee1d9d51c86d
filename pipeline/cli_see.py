"""The commands that show what a run made: its report, and pictures from its generator."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page  [default: RUN/report.html]",
)
def report(run: Path, out: Path | None) -> None:
    """Write one HTML page that shows a run: pictures growing, plan, curves, events, configuration.

    It holds everything it shows and loads nothing, so it can be sent to anybody. A run writes it
    itself, at the end of every stage and when it ends; this command does at any moment.
    """
    from progan.pipeline.report.page import write_report
    from progan.pipeline.rundir import existing_run

    path = write_report(existing_run(run), out)
    click.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB", err=True)
