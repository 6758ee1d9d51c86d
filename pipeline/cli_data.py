"""The commands about data sets."""

from pathlib import Path

import click


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option(
    "--resolution",
    type=click.Choice(["4", "8", "16", "32", "64", "128", "256", "512", "1024"]),
    required=True,
    help="The largest.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes  [default: one a core]")
def prepare(source: Path, dataset: Path, resolution: str, workers: int | None) -> None:
    """Turn pictures into a pyramid of WebDataset shards.

    SOURCE is a folder or a zip of pictures; its first-level sub-folders become class labels.
    DATASET is a folder to be made. Every picture is cropped to its central square and stored at
    every power of two from 4 to --resolution. Started again after an interruption, it goes on.
    """
    from progan.pipeline.preparing import prepare_with_bar

    prepare_with_bar(source, dataset, int(resolution), workers)
