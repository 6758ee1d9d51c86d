"""The commands for data sets: `prepare` and `data`."""

import sys
from pathlib import Path
from typing import Any

import click

from progan.pipeline.cli.local_path import LocalPath, StoredPath
from progan.pipeline.cli.output import json_option, say, show


def percentage(context: click.Context, option: click.Parameter, text: str) -> float:
    """5 or 5% -> 0.05"""
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise click.BadParameter(f"{text!r} is not a percentage from 0 to 100")
    return percent / 100


def comma_separated(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[str, ...]:
    """jpg,.png -> (jpg, png)"""
    found = tuple(word.strip().lstrip(".") for word in (text or "").split(","))
    if text is not None and not all(found):
        raise click.BadParameter(f"{text!r} names no extension: give for example jpg or jpg,png")
    return found if text else ()


def color(context: click.Context, option: click.Parameter, text: str) -> tuple[int, int, int]:
    """white or #ff8800 -> (red, green, blue)"""
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no colour: give a name or #rrggbb") from error
    return red, green, blue


@click.command()
@click.argument("source")
@click.argument("dataset", type=StoredPath())
@click.option(
    "--resolution",
    type=click.Choice(["4", "8", "16", "32", "64", "128", "256", "512", "1024"]),
    required=True,
    help="Side of the largest pictures; all smaller powers of two are made too.",
)
@click.option(
    "--channels",
    type=click.Choice(["1", "3", "4"]),
    default="3",
    show_default=True,
    help="Grey, RGB, or RGB and alpha. Runs take model.channels from the data set.",
)
@click.option(
    "--crop",
    type=click.Choice(["center", "random", "top", "none", "pad"]),
    default="center",
    show_default=True,
    help="Which square to cut out; none: take square pictures only; pad: keep the whole "
    "picture, on a square of the background's colour.",
)
@click.option(
    "--small",
    type=click.Choice(["skip", "upscale", "error"]),
    default="upscale",
    show_default=True,
    help="What to do with a picture that is smaller than --resolution.",
)
@click.option(
    "--background",
    callback=color,
    default="white",
    show_default=True,
    help="Behind transparent pixels and around padded pictures: a name or #rrggbb.",
)
@click.option(
    "--codec",
    type=click.Choice(["webp", "png", "jpeg", "npy"]),
    default="webp",
    show_default=True,
    help="How pictures are stored; all but jpeg are lossless.",
)
@click.option(
    "--source-kind",
    type=click.Choice(["folder", "tar", "lmdb"]),
    help="How to read a FOLDER that holds pictures, .tar files and data.mdb side by side.  "
    "[default: what it holds, if that is only one]",
)
@click.option(
    "--labels",
    metavar="PATH[:COLUMN]|folders|innermost|none",
    help="File with the labels: dataset.json, or a table of names and classes, of which COLUMN is "
    "taken; folders, innermost: by the outermost or innermost folder of each picture; none: no "
    "labels.  [default: those of SOURCE]",
)
@click.option(
    "--extension",
    "extensions",
    metavar="EXT[,EXT...]",
    callback=comma_separated,
    help="Only pictures with such a name, for example jpg, or seg.png; of a sample the first.  "
    "[default: all; in tar files one of each sample, without masks]",
)
@click.option(
    "--max-rejected",
    callback=percentage,
    default="5%",
    show_default=True,
    help="Share of SOURCE's pictures that may be unusable before the command fails.",
)
@click.option(
    "--workers", type=click.IntRange(1), help="Number of processes.  [default: one per core]"
)
@click.option(
    "--executor",
    metavar="tcp://HOST:PORT",
    help="Address of a Dask scheduler to use instead of local processes.",
)
@click.option(
    "--picture-seconds",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="A picture that takes more seconds of processor time is rejected.",
)
@click.option(
    "--build-in",
    type=LocalPath(),
    metavar="FOLDER",
    help="Where a DATASET on object storage is built, with room for all of it; kept.  [default: "
    "below ~/.cache/progan, and removed afterwards]",
)
def prepare(
    source: str,
    dataset: Path | str,
    resolution: str,
    channels: str,
    build_in: Path | None,
    **choices: Any,
) -> None:
    """Turn pictures into a data set for training.

    \b
    SOURCE is one of
      FOLDER                       pictures in it and in its folders
      FILE.zip                     the same, not unpacked
      FILE.tar, FOLDER of .tar, 'part-*.tar'      such as WebDataset shards
      'part-{000..099}.tar', https://HOST/FILE.tar, 'pipe:COMMAND'    as webdataset opens them
      's3://BUCKET/part-{000..099}.tar'           tar files on object storage, also gs:// and az://
      FOLDER with data.mdb         an LMDB whose values are picture files, such as LSUN
      hf:NAME[,split=train][,image=COLUMN][,label=COLUMN]   Hugging Face datasets
      torchvision:NAME[,root=FOLDER][,KEY=VALUE]            torchvision.datasets

    DATASET is a new folder. Every picture is cropped to a square and stored, in WebDataset shards,
    at every power of two from 4 to --resolution. Labels are those that SOURCE has, or the names of
    its folders: of the outermost ones that are no train, test or numbered part of one set. Files
    that cannot be used are listed in DATASET/rejected.csv.

    After an interruption the same command resumes. The result is identical to the byte, whatever
    the number of workers and of interruptions. DATASET may be a URL such as s3://BUCKET/DATASET
    (also gs:// and az://; needs pip install 'progan[remote]'): it is built here, then stored; every
    file is read back and compared, and manifest.json, stored last, says that all are there.

    \b
    Examples:
      progan prepare photos/ data/photos --resolution 256
      progan prepare ffhq.zip data/ffhq --resolution 1024 --labels ffhq-ages.csv
      progan prepare celeba/ data/celeba --resolution 128 --labels list_attr_celeba.txt:Smiling
      progan prepare scans/ data/scans --resolution 512 --channels 1 --crop pad --small skip
      progan prepare 's3://faces/{000..099}.tar' data/faces --resolution 256
      progan prepare /shared/lsun/church data/church --resolution 256 --executor tcp://head:8786
      progan prepare photos/ s3://bucket/photos --resolution 256
    """
    from progan.datasets.format.objects.destination import dataset_folder_for
    from progan.datasets.format.options import Options
    from progan.pipeline.cli.views.prepare import prepare_with_bar
    from progan.pipeline.cli.views.upload import Stored

    if build_in is not None and isinstance(dataset, Path):
        raise click.UsageError("--build-in is about a DATASET on object storage")
    chosen = {name: choices.pop(name) for name in ("crop", "small", "background", "codec")}
    stored = Stored(dataset)
    with dataset_folder_for(dataset, build_in, stored) as folder:
        prepare_with_bar(
            source,
            folder,
            int(resolution),
            channels=int(channels),
            options=Options(**chosen),
            **choices,
        )
    stored.finished()


@click.group()
def data() -> None:
    """Inspect data sets: info, verify, preview."""


@data.command()
@click.argument("dataset")
@json_option
def info(dataset: str, as_json: bool) -> None:
    """Show a data set's resolutions, sizes and classes.

    DATASET is a folder, or the URL of a copy on object storage, here and in the other commands.
    """
    from progan.datasets.format.manifest import load_manifest
    from progan.datasets.format.summary import summary
    from progan.pipeline.cli.views.prepare import info_table

    show(summary(dataset, load_manifest(dataset)), info_table, as_json)


@data.command()
@click.argument("dataset")
@json_option
def verify(dataset: str, as_json: bool) -> None:
    """Check all files of a data set against their checksums.

    Files that are damaged or missing are listed, and the exit code is 3. To rebuild only those,
    remove DATASET/manifest.json and run the `progan prepare` command of the data set again.
    """
    from progan.pipeline.cli.views.prepare import verify_table, verify_with_bar

    document = verify_with_bar(dataset)
    show(document, verify_table, as_json)
    if document["problems"]:
        sys.exit(3)


@data.command()
@click.argument("dataset")
@click.argument("out", type=LocalPath(dir_okay=False), default="preview.png")
@click.option(
    "--num", type=click.IntRange(1, 64), default=8, show_default=True, help="Number of pictures."
)
def preview(dataset: str, out: Path, num: int) -> None:
    """Draw a few pictures of a data set at every resolution.

    They are written into one file, OUT, a .png.  [default: preview.png]
    """
    from progan.datasets.files import whole_file
    from progan.datasets.format.manifest import load_manifest
    from progan.datasets.format.preview import preview as draw
    from progan.pipeline.errors import ConfigError

    if out.suffix.lower() != ".png":
        raise ConfigError(f"{out}: the picture is written as .png")
    sheet = draw(dataset, load_manifest(dataset), num=num)
    with whole_file(out) as file:
        sheet.save(file, "PNG")
    say(f"{out}: {num} samples of {dataset} at every resolution")
