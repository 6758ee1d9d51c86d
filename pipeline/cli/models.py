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
    help="Given several times, each format gets a folder of its name in OUT.",
)
@click.option("--stage", type=int, help="Resolution  [default: the last finished]")
@click.option(
    "--weights",
    type=click.Choice(["ema", "generator"]),
    default="ema",
    show_default=True,
    help="The moving average, or the generator as it was trained.",
)
def export(
    run: Path,
    out: Path,
    formats: tuple[str, ...],
    stage: int | None,
    weights: Literal["ema", "generator"],
) -> None:
    """Write a run's generator into the folder OUT, to be used without progan.

    \b
    safetensors   weights, a JSON that describes them, generator.py that needs only torch
    torchscript   generator.pt for torch.jit.load, in Python and C++
    pt2           generator.pt2 for torch.export.load
    onnx          generator.onnx; needs pip install 'progan[onnx]'
    mlflow        an MLflow model: arrays or PNG files from latents, mlflow models serve
    huggingface   a model card, config.json, model.safetensors, generator.py, sample pictures

    RUN is a run, an import, or a stage's final/ folder. Each format takes any number of latents at
    once. Before it is done, another process without progan loads each export and draws the same
    from it.
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
@click.option("--from", "kind", type=click.Choice(SOURCES), required=True, help="Who wrote it.")
@click.option("--resolution", type=int, help="Of pro_gan_pytorch's  [default: the largest]")
def import_command(checkpoint: Path, out: Path, kind: str, resolution: int | None) -> None:
    """Bring in the networks of another program's CHECKPOINT, to draw, export or train on.

    \b
    tensorflow       a .pkl of the official code; what it names is never loaded, only its numbers
    pytorch_gan_zoo  a .pt of its PGAN
    pro_gan_pytorch  a .bin

    What their networks do differently from the paper's is folded into the weights, or said and
    refused. OUT is then a folder for `progan generate`, `progan export` and, to train on,
    model.init=OUT.
    """
    from progan.pipeline.config.yaml_io import flatten
    from progan.pipeline.imports.formats import import_checkpoint

    imported = import_checkpoint(checkpoint, out, kind, resolution)
    size = f"{imported.resolution}x{imported.resolution}"
    say(f"{out}: {', '.join(imported.networks)} at {size}")
    for name, reason in imported.left_out.items():
        say(f"the {name} is left out: {reason}; trained on, it begins anew")
    shape = flatten(imported.model.model_dump(mode="json", exclude={"channels"}), "model.")
    settings = [f"model.init={out}", f"growth.first={imported.resolution}"]
    settings += [f"{key}={value}" for key, value in shape.items()]
    say(f"to train on: {shlex.join(settings)}")
