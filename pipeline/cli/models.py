"""The commands `progan export` and `progan import`."""

import re
import shlex
from pathlib import Path
from typing import Literal

import click

from progan.pipeline.cli.completion import RunPath
from progan.pipeline.cli.local_path import LocalPath, StoredPath
from progan.pipeline.cli.output import say

FORMATS = ("safetensors", "torchscript", "pt2", "onnx", "mlflow", "huggingface")
LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")
SOURCES = ("tensorflow", "pytorch_gan_zoo", "pro_gan_pytorch")


@click.command()
@click.argument("run", type=RunPath())
@click.argument("out", type=StoredPath())
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=["safetensors"],
    show_default=True,
    help="May be given several times; each format then gets a folder of its name in OUT.",
)
@click.option("--stage", type=int, help="Resolution of the stage.  [default: the last finished]")
@click.option(
    "--checkpoint",
    type=click.Choice(["newest"]),
    help="Export a stage that still trains, from its newest checkpoint, once its fade is over.",
)
@click.option(
    "--weights",
    type=click.Choice(["ema", "generator"]),
    default="ema",
    show_default=True,
    help="ema: the moving average of the generator; generator: as it was trained.",
)
@click.option(
    "--license",
    "license_name",
    metavar="NAME",
    help="For the model card: the Hub's name of a licence, such as mit or cc-by-4.0.",
)
@click.option(
    "--push",
    "repository",
    metavar="USER/NAME",
    help="Copy the huggingface export to this repository on the Hub, too.",
)
@click.option("--private", is_flag=True, help="With --push: a new repository is private.")
def export(
    run: Path,
    out: Path | str,
    formats: tuple[str, ...],
    stage: int | None,
    checkpoint: Literal["newest"] | None,
    weights: Literal["ema", "generator"],
    license_name: str | None,
    repository: str | None,
    private: bool,
) -> None:
    """Export a run's generator, to be used without progan.

    \b
    safetensors   weights, a JSON that describes them, generator.py that needs only torch
    torchscript   generator.pt for torch.jit.load, in Python and C++
    pt2           generator.pt2 for torch.export.load
    onnx          generator.onnx; needs pip install 'progan[onnx]'
    mlflow        an MLflow model: latents in, arrays or PNG files out; for `mlflow models serve`
    huggingface   a model card, config.json, model.safetensors, generator.py, sample pictures; needs
                  pip install 'progan[hf]'

    RUN is a run's folder, a stage's final/ folder, or the OUT of `progan import`; OUT is a new
    folder. Exported generators take a batch of any size. Each export is checked: another process
    loads it without progan and must draw the same pictures.

    OUT may be a URL on object storage, such as s3://BUCKET/MODEL (also gs:// and az://; needs
    pip install 'progan[remote]'). Every file is read back and compared; SHA256SUMS, stored last,
    says that all are there. After an interruption the same command stores what is missing.
    """
    _check_push(formats, out, license_name, repository, private=private)
    from progan.datasets.format.objects.destination import folder_for
    from progan.pipeline.cli.views.upload import Stored
    from progan.pipeline.exports.export import export_from
    from progan.pipeline.exports.hugging_face import CardDetails
    from progan.pipeline.exports.push import check_push, push

    details = CardDetails(license=license_name)
    if repository is not None:
        check_push(repository)
        details = details._replace(repository=repository)
    once_each = tuple(dict.fromkeys(formats))
    with folder_for(out, Stored(out)) as folder:
        networks = export_from(
            run,
            folder,
            stage,
            formats=once_each,
            weights=weights,
            details=details,
            newest=checkpoint is not None,
        )
    size = f"{networks.resolution}x{networks.resolution}"
    seen = f" after {networks.images_seen:,} images" if networks.images_seen else ""
    say(f"{out}: generator at {size}{seen}")
    if repository is not None:
        folder = folder / "huggingface" if len(once_each) > 1 else folder
        say(f"{push(folder, repository, private=private)}: draw from it with hf://{repository}")


def _check_push(
    formats: tuple[str, ...],
    out: Path | str,
    license_name: str | None,
    repository: str | None,
    *,
    private: bool,
) -> None:
    """UsageError if the options of the Hub do not fit the others."""
    if repository is not None and "huggingface" not in formats:
        raise click.UsageError("--push copies an export for the Hub: add --format huggingface")
    if repository is not None and isinstance(out, str):
        raise click.UsageError("--push needs an OUT on this machine")
    if private and repository is None:
        raise click.UsageError("--private is about the repository of --push")
    if license_name is not None and not LICENSE.fullmatch(license_name):
        raise click.UsageError(f"--license {license_name}: a name such as mit or cc-by-4.0")


@click.command("import")
@click.argument("checkpoint", type=LocalPath())
@click.argument("out", type=LocalPath())
@click.option(
    "--from",
    "kind",
    type=click.Choice(SOURCES),
    required=True,
    help="The program that wrote CHECKPOINT.",
)
@click.option(
    "--resolution",
    type=int,
    help="Which of a pro_gan_pytorch generator's resolutions.  [default: the largest]",
)
def import_command(checkpoint: Path, out: Path, kind: str, resolution: int | None) -> None:
    """Convert the networks of another program's checkpoint.

    \b
    tensorflow       a .pkl of the official code; no code in it is executed
    pytorch_gan_zoo  a .pt of its PGAN
    pro_gan_pytorch  a .bin

    The weights are converted so that progan's networks compute the same; a checkpoint for which
    that is impossible is refused. OUT can then be used by `progan generate`, by `progan export`,
    and as the start of a training run: model.init=OUT.
    """
    from progan.pipeline.config.yaml_io import flatten
    from progan.pipeline.imports.formats import import_checkpoint

    imported = import_checkpoint(checkpoint, out, kind, resolution)
    size = f"{imported.resolution}x{imported.resolution}"
    say(f"{out}: {', '.join(imported.networks)} at {size}")
    for name, reason in imported.left_out.items():
        say(f"the {name} is left out: {reason}; training starts with a new one")
    shape = flatten(imported.model.model_dump(mode="json", exclude={"channels"}), "model.")
    settings = [f"model.init={out}", f"growth.first={imported.resolution}"]
    settings += [f"{key}={value}" for key, value in shape.items()]
    say(f"to continue training: {shlex.join(settings)}")
