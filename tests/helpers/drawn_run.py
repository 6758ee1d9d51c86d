"""A run's folder as training would leave it, written in a second: pictures, figures, events."""

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

from progan.datasets.synthetic import draw_dataset
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.config.yaml_io import write_yaml
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run_folder import RunFolder
from progan.stages import schedule
from progan.stages.images import cell_corner, side_pixels, zoom
from progan.stages.specs.stage import StageSpec
from progan.stages.storage.json_lines import append_line
from progan.stages.storage.launch_log import Host, Start, append_start
from progan.stages.storage.spec_file import read_spec

BEGAN = 1_700_000_000.0
VERSIONS = {"python": "3.12.1", "progan": "0.1.0", "torch": "2.8.0", "deepspeed": "0.17.0"}


def draw_run(path: Path, *words: str, until: tuple[int, int] | None = None) -> RunFolder:
    """A run of the demo preset, changed by `words`, with drawn shapes for fakes.

    until: resolution and images of that stage at which it stands; by default all stages are full.
    """
    config = load_config("demo", words)
    run = RunFolder(path)
    path.mkdir(parents=True)
    write_yaml(run.config, config)
    shapes = _shapes(_folder(run), config)
    when = BEGAN
    events: list[dict[str, object]] = [
        {"time": when, "event": "run_created", "data_fingerprint": "f" * 64}
    ]
    for spec in stage_specs(config, run, "f" * 64):
        last = spec.growth.total_images
        if until and spec.resolution >= until[0]:
            last = until[1] if spec.resolution == until[0] else 0
        if last:
            fields = {"resolution": spec.resolution}
            events.append({"time": when, "event": "stage_started", "handle": "0@0"} | fields)
            when = _draw_stage(run, spec, last, shapes, when)
            if last == spec.growth.total_images:
                events.append({"time": when, "event": "stage_finished"} | fields)
    run.events.write_text("".join(json.dumps(event) + "\n" for event in events))
    return run


def advance(run: RunFolder, resolution: int, images_seen: int) -> None:
    """A further tick of a drawn stage, with its grid."""
    folder = run.stage(resolution)
    spec = read_spec(folder.spec)
    shapes = [Image.open(file).convert("RGB") for file in sorted(_folder(run).rglob("*.png"))]
    last = json.loads(folder.metrics.read_text().splitlines()[-1])
    times = {"time": last["time"] + last["seconds"], "seconds": last["seconds"]}
    draw_grid(folder.fakes(images_seen), spec, shapes, noise=10)
    append_line(folder.metrics, figures(spec, images_seen) | times)


def _folder(run: RunFolder) -> Path:
    """Where the shapes of a drawn run are."""
    return run.path.parent / f"{run.path.name}-shapes"


def _shapes(folder: Path, config: RunConfig) -> list[Image.Image]:
    draw_dataset(folder, num=config.ticks.grid**2, size=config.growth.last)
    return [Image.open(file).convert("RGB") for file in sorted(folder.rglob("*.png"))]


def _draw_stage(
    run: RunFolder, spec: StageSpec, last: int, shapes: list[Image.Image], when: float
) -> float:
    folder = run.stage(spec.resolution)
    folder.samples.mkdir(parents=True)
    folder.spec.write_text(spec.model_dump_json())
    host = Host(name="node-1", ranks=2, device="A processor", device_bytes=None, cpus=8)
    append_start(
        folder.starts, Start(time=when, images_seen=0, ranks=2, hosts=(host,), versions=VERSIONS)
    )
    draw_grid(folder.reals, spec, shapes, noise=0)
    count = max(1, last // spec.tick.images)
    lines = []
    for tick in range(1, count + 1):
        seen = last * tick // count
        seconds = spec.resolution * 0.4
        when += seconds
        lines.append(json.dumps(figures(spec, seen) | {"time": when, "seconds": seconds}))
        if tick % spec.tick.samples_every == 0 or tick == count:
            noise = 90 / (1 + 6 * seen / spec.growth.total_images)
            draw_grid(folder.fakes(seen), spec, shapes, noise)
    folder.metrics.write_text("\n".join(lines) + "\n")
    return when


def figures(spec: StageSpec, seen: int) -> dict[str, float | str]:
    """A tick as the workers write it, with two figures that no version has written yet."""
    share, random = seen / spec.growth.total_images, np.random.default_rng(seen)
    wobble = [float(value) for value in random.normal(0, 0.25, 8)]
    return {
        "images_seen": seen,
        "phase": schedule.phase(seen, spec.growth),
        "alpha": schedule.alpha(seen, spec.growth),
        "lr": spec.lr,
        "real_logits": 1.5 - share + wobble[0],
        "fake_logits": -1.5 + share + wobble[1],
        "gradient_penalty": 0.3 + math.exp(-8 * share) + abs(wobble[2]) / 4,
        "drift_penalty": 0.02 + abs(wobble[3]) / 20,
        "discriminator_loss": -3 + 2 * share + wobble[4],
        "generator_loss": 1 - share + wobble[5],
        "discriminator_grad_norm": 2 + wobble[6],
        "generator_grad_norm": 1 + wobble[7],
        "swd_16": 60 * math.exp(-2 * share) + 4,
        "swd_32": 90 * math.exp(-2 * share) + 6,
        "hitherto_unknown": share,
        "images_per_second": 4000 / spec.resolution,
    }


def draw_grid(path: Path, spec: StageSpec, shapes: list[Image.Image], noise: float) -> None:
    """A sheet of shapes at a stage's resolution."""
    random = np.random.default_rng(0)
    factor, side = zoom(spec.resolution), spec.tick.grid
    cell = factor * spec.resolution
    sheet = Image.new("RGB", (side_pixels(side, cell), side_pixels(side, cell)), "white")
    for index in range(side * side):
        small = shapes[index].resize((spec.resolution,) * 2, Image.Resampling.BOX)
        pixels = np.asarray(small) + random.normal(0, max(noise, 1e-9), (*small.size, 3))
        picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        sheet.paste(picture.resize((cell, cell), Image.Resampling.NEAREST),
                    cell_corner(index, side, cell))  # fmt: skip
    sheet.save(path)
