"""The commands that show a run's results: report, pictures, films."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from progan.pipeline.cli.completion import RunPath
from progan.pipeline.cli.local_path import LocalPath, ModelPath
from progan.pipeline.cli.output import say

CLASS = click.option(
    "--class",
    "wanted",
    metavar="CLASS",
    help="Name or number of the class to draw.  [default: all classes in turn]",
)


@click.command()
@click.argument("run", type=RunPath())
@click.option(
    "--out",
    type=LocalPath(dir_okay=False),
    help="The page to write.  [default: RUN/report.html]",
)
@click.option("--serve", is_flag=True, help="Show it at an address that follows the run, live.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Of the address; 0: any that is free.  [default: 8420]",
)
def report(run: Path, out: Path | None, serve: bool, port: int | None) -> None:
    """Write one HTML page that shows a run.

    It has samples of all stages, the plan, curves, events and the configuration. It is a single
    file that loads nothing else. `progan train` writes it at the end of every tick, at most once a
    minute; this command updates it at any time.

    With --serve, the page is served on this machine until Ctrl-C, and an open page follows the run.
    From another machine: ssh -L 8420:localhost:8420 MACHINE, then open http://localhost:8420/.

    \b
    progan report RUN
    progan report RUN --serve
    """
    from progan.pipeline.report.page import write_report
    from progan.pipeline.report.serve import DEFAULT_PORT, ReportServer
    from progan.pipeline.run_folder import existing_run

    if serve and out:
        raise click.UsageError("--serve writes no file: leave out --out")
    if port is not None and not serve:
        raise click.UsageError("--port is of the address that --serve shows the page at")
    if not serve:
        path = write_report(existing_run(run), out)
        say(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        return
    with ReportServer(existing_run(run), DEFAULT_PORT if port is None else port) as server:
        server.page()
        say(f"{server.url}  (Ctrl-C ends it)")
        with suppress(KeyboardInterrupt):
            server.serve_forever()


@click.command()
@click.argument("model", type=ModelPath())
@click.argument("out", type=LocalPath())
@click.option("--num", type=click.IntRange(1), help="Number of pictures.  [default: 64]")
@click.option("--seed", type=click.IntRange(0), help="Seed of all --num pictures.  [default: 0]")
@click.option(
    "--seeds",
    metavar="0-63,100",
    help="Instead of --num and --seed: one picture for each of these seeds.",
)
@CLASS
@click.option(
    "--code",
    "codes",
    multiple=True,
    metavar="0=3",
    help="NUMBER=VALUE of an InfoGAN code; may be given several times.",
)
@click.option(
    "--generator",
    "index",
    type=click.IntRange(0),
    metavar="NUMBER",
    help="Which generator of a mixture draws.  [default: a random one for each picture]",
)
@click.option(
    "--truncation",
    type=click.FloatRange(0, min_open=True),
    metavar="PSI",
    help="Draw latents from a normal distribution truncated at PSI: small values give more "
    "typical and less varied pictures.",
)
def generate(
    model: str | Path,
    out: Path,
    num: int | None,
    seed: int | None,
    seeds: str | None,
    wanted: str | None,
    codes: tuple[str, ...],
    index: int | None,
    truncation: float | None,
) -> None:
    """Draw pictures from a generator.

    MODEL is a folder (an export, an import, a stage's final/, or a run) or hf://USER/NAME, a
    repository on the Hugging Face Hub. Of a run the newest generator draws: while a stage trains,
    that of its newest checkpoint.

    If OUT ends in .png, it is a grid of all pictures; otherwise OUT is a folder, and each picture a
    PNG file in it: grey, RGB or RGBA as the run's pictures were. A grid shows transparent parts
    over a checkerboard.

    \b
    progan generate MODEL grid.png --num 64 --seed 3
    progan generate MODEL pictures/ --seeds 0-999 --truncation 1.5
    progan generate MODEL cats.png --class cat
    progan generate RUN now.png

    With --seeds, a seed always gives the same picture, whatever the other seeds are.
    """
    if seeds is not None and (num is not None or seed is not None):
        raise click.UsageError("--seeds says all that --num and --seed say: choose one")
    from progan.pipeline.sampling.selection import parse_seeds

    chosen = parse_seeds(seeds) if seeds is not None else None
    from progan.pipeline.sampling.generate import generate as draw_pictures
    from progan.pipeline.sampling.hub import model_folder

    note = _replaced(out)
    count = draw_pictures(
        model_folder(model),
        out,
        num=num or 64,
        seed=seed or 0,
        seeds=chosen,
        truncation=truncation,
        class_=wanted,
        codes=codes,
        index=index,
        on_choice=say,
    )
    say(f"{out}: {count} pictures{note}")


def film_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options --seconds and --fps."""
    fps = click.option(
        "--fps",
        type=click.IntRange(1, 120),
        default=25,
        show_default=True,
        help="Frames per second.",
    )
    seconds = click.option(
        "--seconds",
        type=click.FloatRange(0.1, 3600),
        default=10.0,
        show_default=True,
        help="Length of the film.",
    )
    return seconds(fps(command))


@click.command()
@click.argument("model", type=ModelPath())
@click.argument("out", type=LocalPath(dir_okay=False))
@film_options
@click.option(
    "--num", type=click.IntRange(2), help="Number of latents that the film passes.  [default: 6]"
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="Seed of the first latent; the next ones have the next seeds.  [default: 0]",
)
@click.option(
    "--seeds", metavar="0-5,100", help="Instead of --num and --seed: the seeds of all latents."
)
@CLASS
@click.option(
    "--grid",
    type=click.IntRange(1, 16),
    default=1,
    show_default=True,
    help="Pictures along one side of the frame; each has --num latents of its own.",
)
def interpolate(
    model: str | Path,
    out: Path,
    seconds: float,
    fps: int,
    num: int | None,
    seed: int | None,
    seeds: str | None,
    wanted: str | None,
    grid: int,
) -> None:
    """Write a film that moves through the latent space.

    MODEL is a folder (an export, an import, a stage's final/, or a run, of which the newest
    generator draws) or hf://USER/NAME. OUT is a .gif or .mp4 file. The film interpolates along
    great circles (slerp) from latent to latent and ends where it began. A seed gives the same
    picture as in `progan generate --seeds`. Transparent parts show a checkerboard.

    \b
    progan interpolate MODEL loop.mp4
    progan interpolate MODEL faces.gif --grid 3 --num 4 --seconds 8
    """
    if seeds is not None and (num is not None or seed is not None):
        raise click.UsageError("--seeds says all that --num and --seed say: choose one")
    from progan.pipeline.sampling.selection import parse_seeds

    first = seed or 0
    named = [*range(first, first + (num or 6) * grid**2)] if seeds is None else parse_seeds(seeds)
    from progan.pipeline.sampling.hub import model_folder
    from progan.pipeline.sampling.interpolate import interpolate as write_film

    note = _replaced(out)
    frames = write_film(model_folder(model), out, named, seconds, fps, grid, wanted, say)
    say(f"{out}: {frames} frames, {out.stat().st_size / 1e6:.1f} MB{note}")


@click.command()
@click.argument("run", type=RunPath())
@click.argument("out", type=LocalPath(dir_okay=False))
@film_options
def timelapse(run: Path, out: Path, seconds: float, fps: int) -> None:
    """Write a film of a run's training.

    It shows the run's sample grids from the first stage to the last. OUT is a .gif or .mp4 file.
    Each frame stands for the same number of training images; the last grid stays for one second
    more.
    """
    from progan.pipeline.report.timelapse import timelapse as write_film
    from progan.pipeline.run_folder import existing_run

    note = _replaced(out)
    grids = write_film(existing_run(run), out, seconds, fps)
    noun = "grid" if grids == 1 else "grids"
    say(f"{out}: {grids} {noun}, {out.stat().st_size / 1e6:.1f} MB{note}")


def _replaced(out: Path) -> str:
    """What to add to the message about a file that is written."""
    return " (the file that was there is replaced)" if out.is_file() else ""
