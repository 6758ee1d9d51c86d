"""The command `progan pretrain`."""

from pathlib import Path

import click

from progan.pipeline.cli.local_path import LocalPath
from progan.pipeline.cli.output import say


@click.command()
@click.argument("dataset")
@click.argument("out", type=LocalPath())
@click.option(
    "--resolution",
    type=click.Choice(["4", "8", "16", "32", "64", "128", "256", "512", "1024"]),
    help="Side of the pictures that the encoder sees.  [default: the data set's largest]",
)
@click.option(
    "--kimg",
    type=click.FloatRange(0, min_open=True),
    default=200.0,
    show_default=True,
    help="Thousands of pictures to train on.",
)
@click.option(
    "--batch", type=click.IntRange(1), default=64, show_default=True, help="Pictures in a step."
)
@click.option(
    "--lr",
    type=click.FloatRange(0, min_open=True),
    default=0.005,
    show_default=True,
    help="Learning rate of Adam at the start; it falls to 0.",
)
@click.option(
    "--fmap-base",
    type=click.IntRange(2),
    default=2048,
    show_default=True,
    help="Feature maps at a resolution: 2 fmap_base / resolution, at most --fmap-max.",
)
@click.option(
    "--fmap-max",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="Most feature maps, and so the most features that the discriminator gets.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights and order."
)
def pretrain(
    dataset: str,
    out: Path,
    resolution: str | None,
    kimg: float,
    batch: int,
    lr: float,
    fmap_base: int,
    fmap_max: int,
    seed: int,
) -> None:
    """Train the encoder that a discriminator shares (RFGAN).

    \b
    progan prepare PICTURES DATASET --resolution 64
    progan pretrain DATASET ENCODER --resolution 32
    progan train recommended-32 data.path=DATASET model.representative=ENCODER

    An autoencoder learns to reconstruct the pictures of DATASET from a code. Its encoder is then
    frozen, and its code is seen by the discriminator's last layer beside the discriminator's own
    features. Runs of any resolution can use it: pictures are resized to --resolution.

    OUT is a new folder: encoder.safetensors, decoder.safetensors, encoder.json with the shape and
    the reconstruction error, and reconstructions.png, pictures above their reconstructions. Trains
    on the GPU if there is one. The same command gives the same bytes on the same machine.
    """
    from progan.pipeline.run.pretraining import Pretraining
    from progan.pipeline.run.pretraining import pretrain as train_encoder

    size, images = resolution and int(resolution), max(1, round(kimg * 1000))
    encoder = train_encoder(
        dataset, out, Pretraining(size or None, images, batch, lr, fmap_base, fmap_max, seed)
    )
    say(
        f"{out}: encoder at {encoder.resolution}x{encoder.resolution} after "
        f"{encoder.images_seen:,} images, mean squared error {encoder.reconstruction_error:.4f}"
    )
    say(f"to use it: model.representative={out}")
