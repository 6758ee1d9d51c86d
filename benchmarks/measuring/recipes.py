"""Trains a recipe, a preset and words of `progan train`, for a given processor time."""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from measuring.real_step import StageFactory, one_step
from measuring.timing import time_child_processes
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.sampling.generate import load_networks
from progan.stages.images import to_uint8
from progan.stages.networks.conditioning import cycling_labels, with_conditions
from progan.stages.networks.generator import Generator
from progan.stages.rng import grid_latents
from progan.stages.storage.pretrained import read_published

PROGAN = str(Path(sys.executable).with_name("progan"))
QUIET = (
    "metrics.during=[]", "metrics.at_end=[]", "checkpoint.every_minutes=1000", "ticks.kimg=1",
    "ticks.samples_every=1000", "launch.backend=local", "launch.gpus_per_node=1",
)  # fmt: skip
"""What a run does besides steps is left out: it is not compared"""
TIMED_STEPS = 8
"""A multiple of the intervals of penalties: 1, 2, 4 or 8 updates"""
DRAWN_AT_ONCE = 100
DRAWN_SEED = 1000
SECONDS = "processor_seconds"


class Trained(NamedTuple):
    """What a training made of its time."""

    seconds: float
    """Of processor time, start-up included"""
    kimg: float
    """Thousands of images shown"""
    pictures: dict[str, Tensor]
    """Pictures by the weights that drew them, `ema` and `generator`: uint8 (images, C, R, R)"""


def recipe(text: str) -> tuple[str, tuple[str, ...]]:
    """NAME=PRESET key=value ... -> its name and words."""
    name, _, words = text.partition("=")
    if not re.fullmatch(r"[\w.-]+", name) or not words.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PRESET key=value ...")
    preset, *changes = split(words)
    try:
        load_config(preset, tuple(changes))
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error}") from error
    return name, (preset, *changes)


def add_options(parser: argparse.ArgumentParser, resolution: int) -> None:
    """What all programs that compare recipes take."""
    parser.add_argument("--recipe", type=recipe, action="append", required=True,
                        help="NAME=PRESET key=value ...; may be repeated")  # fmt: skip
    parser.add_argument(
        "--with", dest="common", default="", metavar="WORDS", help="for all recipes"
    )
    parser.add_argument("--resolution", type=int, default=resolution)
    parser.add_argument("--images", type=int, default=5000, help="pictures that are compared")
    parser.add_argument("--json", action="store_true", help="print the document, not the table")


def split(words: str) -> tuple[str, ...]:
    """Where a key= follows; values may have spaces within brackets."""
    return tuple(re.split(r"\s+(?=[\w.]+=)", words.strip())) if words.strip() else ()


def train(words: tuple[str, ...], lengths: tuple[str, ...], run: RunFolder, images: int) -> Trained:
    """Train in a new process, with the lengths of `scaled_lengths`; draw pictures."""
    config = load_config(words[0], (*words[1:], *QUIET))
    seconds = train_once((*words, *QUIET, *lengths), run)
    published = [read_published(run.stage(each).final) for each in config.resolutions]
    pictures = {
        "ema": draw(load_networks(published[-1], "ema"), images),
        "generator": draw(load_networks(published[-1], "generator"), images),
    }
    kimg = sum(each.images_seen for each in published) / 1000
    return Trained(seconds, kimg, pictures)


def train_once(words: tuple[str, ...], run: RunFolder) -> float:
    """Processor seconds of `progan train`. A finished run is not trained again."""
    if not (run.path / SECONDS).exists():
        argv = [PROGAN, "train", *words, "--run", str(run.path)]
        with run.path.with_suffix(".log").open("w") as output:
            _, took = time_child_processes(
                lambda: subprocess.run(argv, check=True, stdout=output, stderr=output)
            )
        (run.path / SECONDS).write_text(str(took))
    return float((run.path / SECONDS).read_text())


def scaled_lengths(
    words: tuple[str, ...], seconds: float, factory: StageFactory
) -> tuple[str, ...]:
    """Words for stages whose steps take about `seconds`: all lengths scaled by one factor."""
    config = load_config(words[0], (*words[1:], *QUIET))
    growth = config.growth
    fades = {r: growth.fade_kimg.at(r) * (r > growth.first) for r in config.resolutions}
    steady = {r: growth.steady_kimg.at(r) for r in config.resolutions}
    total = sum(
        1000 * (fades[r] + steady[r]) * image_seconds(config, r, factory)
        for r in config.resolutions
    )

    def word(key: str, kimg: dict[int, float]) -> str:
        values = ", ".join(f"{r}: {each * seconds / total:.4g}" for r, each in kimg.items())
        return f"growth.{key}={{{values}}}"

    return word("fade_kimg", fades), word("steady_kimg", steady)


def image_seconds(config: RunConfig, resolution: int, factory: StageFactory) -> float:
    """Processor seconds of this thread for an image of a stage, half-way through its fade."""
    stage = factory.stage(config, resolution)
    with stage.batches:
        for _ in range(2):
            one_step(stage)
        start = time.thread_time()
        for _ in range(TIMED_STEPS):
            one_step(stage)
        took = time.thread_time() - start
    return took / TIMED_STEPS / stage.spec.images_per_step


@torch.no_grad()
def draw(generator: Generator, images: int) -> Tensor:
    """Pictures, uint8 (images, C, R, R); classes, if there are any, cycle."""
    model = generator.model
    latents = grid_latents(DRAWN_SEED, images, model.noise)
    inputs = with_conditions(latents, cycling_labels(images, model.classes), model)
    return torch.cat(
        [to_uint8(generator(x)) for x in torch.split(inputs, DRAWN_AT_ONCE)]
    ).contiguous()
