"""Ranks that train with labels: the generator learns the classes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from progan.datasets.build.prepare import prepare
from progan.pipeline.sampling.generate import draw_latents, load_generator
from progan.stages.networks.conditioning import cycling_labels, with_conditions
from progan.stages.rng import grid_latents
from progan.stages.specs.model import ModelSpec
from progan.stages.specs.stage import GrowthSpec, StageSpec
from workers import run, spec


@pytest.fixture(scope="module")
def lights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 pictures of two classes: 0 is bright, 1 is dark."""
    folder = tmp_path_factory.mktemp("lights")
    random = torch.Generator().manual_seed(0)
    for name, light in (("bright", 200), ("dark", 60)):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(32):
            noise = torch.randint(-40, 40, (8, 8, 3), generator=random) + light
            picture = Image.fromarray(noise.to(torch.uint8).numpy())
            picture.save(folder / "pictures" / name / f"{number}.png")
    prepare(folder / "pictures", folder / "dataset", 8, workers=1)
    return folder / "dataset"


def stage(dataset: Path, head: str, **changes: Any) -> StageSpec:
    fields = {"latent": 16, "fmap_base": 64, "fmap_max": 16, "classes": 2}
    model = ModelSpec.model_validate(fields | {"discriminator": {"head": head}})
    return spec(dataset, model=model, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["acgan", "projection"])
def test_generator_draws_the_class_it_is_given(lights: Path, tmp_path: Path, head: str) -> None:
    growth = GrowthSpec(fade_images=0, steady_images=6400)
    folder = run(stage(lights, head, growth=growth, lr=0.01, resolution=4), tmp_path, ranks=2)
    generator = load_generator(folder.final)
    latents = with_conditions(grid_latents(0, 32, 16), cycling_labels(32, 2), generator.model)
    light = draw_latents(generator, latents).mean(dim=(1, 2, 3)).reshape(16, 2)
    assert (light[:, 0] - light[:, 1]).min() > 0.3
