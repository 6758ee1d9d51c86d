"""The commands `progan export` and `progan import`."""

import shlex
from pathlib import Path
from typing import Literal

import click

from progan.pipeline.cli.local_path import LocalPath
from progan.pipeline.cli.output import say

FORMATS = ("safetensors", "torchscript", "pt2", "onnx", "mlflow", "huggingface")
SOURCES = ("tensorflow", "pytorch_gan_zoo", "pro_gan_pytorch")


@click.command()
@click.argument("run", type=LocalPath())
@click.argument("out", type=LocalPath())
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
    "--weights",
    type=click.Choice(["ema", "generator"]),
    default="ema",
    show_default=True,
    help="ema: the moving average of the generator; generator: as it was trained.",
)
def export(
    run: Path,
    out: Path,
    formats: tuple[str, ...],
    stage: int | None,
    weights: Literal["ema", "generator"],
) -> None:
    """Export a run's generator, to be used without progan.

    \b
    safetensors   weights, a JSON that describes them, generator.py that needs only torch
    torchscript   generator.pt for torch.jit.load, in Python and C++
    pt2           generator.pt2 for torch.export.load
    onnx          generator.onnx; needs pip install 'progan[onnx]'
    mlflow        an MLflow model: latents in, arrays or PNG files out; for `mlflow models serve`
    huggingface   a model card, config.json, model.safetensors, generator.py, sample pictures

    RUN is a run's folder, a stage's final/ folder, or the OUT of `progan import`; OUT is a new
    folder. Exported generators take a batch of any size. Each export is checked: another process
    loads it without progan and must draw the same pictures.
    """
    from progan.pipeline.export import export_from

    once_each = tuple(dict.fromkeys(formats))
    networks = export_from(run, out, stage, formats=once_each, weights=weights)
    size = f"{networks.resolution}x{networks.resolution}"
    seen = f" after {networks.images_seen:,} images" if networks.images_seen else ""
    say(f"{out}: generator at {size}{seen}")


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
