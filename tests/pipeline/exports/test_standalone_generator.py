"""generator.py computes the same as progan's generator, without progan."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from networks import published
from progan.pipeline.exports import standalone_generator
from progan.pipeline.exports.bundle import write_bundle
from progan.pipeline.sampling.generate import load_networks
from progan.stages.specs.model import ModelSpec

SHAPES: list[dict[str, Any]] = [
    {},
    {"latent": 7},
    {"fmap_base": 256, "fmap_max": 8},
    {"fmap_base": 64, "fmap_max": 64},
    {"channels": 1},
    {"channels": 4, "variant": "pro_gan_pytorch"},
    {"channels": 4, "arch": "dcgan", "generator": {"norm": "batch"}},
    {"stddev_group": 2},
    {"variant": "pytorch_gan_zoo"},
    {"variant": "pro_gan_pytorch"},
    {"generator": {"attention": (8, 32)}},
    {"discriminator": {"attention": (8,)}},
    {"classes": 3},
    {"generator": {"norm": "none"}},
    {"generator": {"norm": "batch"}},
    {"generator": {"norm": "virtual_batch", "reference": 5}, "classes": 3},
    {"generator": {"codes": {"categorical": (3, 2), "continuous": 2}}},
    {"generators": 3, "generators_weight": 0.5},
    {"generators": 2, "generator": {"norm": "virtual_batch", "reference": 5}, "classes": 3},
    {"arch": "dcgan", "generator": {"norm": "batch"}},
    {"arch": "dcgan", "generator": {"norm": "batch"}, "generators": 3},
    {"arch": "dcgan", "generator": {"norm": "virtual_batch", "attention": (8,)}, "classes": 3},
    {"arch": "dcgan", "generator": {"norm": "none"}},
]
CASES = [(s, r) for s in SHAPES for r in (4, 8, 32) if r > 4 or s.get("arch") != "dcgan"]


@pytest.mark.parametrize(("shape", "resolution"), CASES)
def test_pictures_are_equal_to_the_bit(
    tmp_path: Path, shape: dict[str, Any], resolution: int
) -> None:
    networks = published(tmp_path / "final", resolution, **shape)
    write_bundle(networks, "ema", tmp_path)
    generator = standalone_generator.load(tmp_path / "generator.safetensors")
    latents = torch.randn(3, networks.model.inputs)
    assert torch.equal(generator(latents), load_networks(networks, "ema")(latents))
    assert (generator.resolution, generator.channels) == (resolution, networks.model.channels)
    assert (generator.latent, generator.classes) == (networks.model.latent, networks.classes)


def test_every_field_of_the_model_is_tested_here() -> None:
    """A new field of ModelSpec needs support in standalone_generator.py, and a shape above."""
    tested = {key for shape in SHAPES for key in shape}
    assert set(ModelSpec.model_fields) == tested


def test_script_draws_a_grid(tmp_path: Path) -> None:
    write_bundle(published(tmp_path / "final"), "ema", tmp_path)
    code = "import sys; sys.modules['progan'] = sys.modules['numpy'] = sys.modules['PIL'] = None\n"
    code += "import warnings; warnings.simplefilter('ignore')\n"
    code += f"sys.argv = ['generator.py', '{tmp_path / 'grid.png'}', '--num', '5']\n"
    code += f"import runpy; runpy.run_path('{tmp_path / 'generator.py'}', run_name='__main__')"
    subprocess.run([sys.executable, "-c", code], check=True)
    with Image.open(tmp_path / "grid.png") as picture:
        assert (picture.size, picture.mode) == ((24, 16), "RGB")
        drawn = torch.tensor(list(picture.tobytes())).reshape(16, 24, 3)
    numbers = torch.Generator().manual_seed(0)
    generator = standalone_generator.load(tmp_path / "generator.safetensors")
    images = standalone_generator.pictures(generator(torch.randn(5, 16, generator=numbers)))
    assert torch.equal(drawn[8:, 8:16].permute(2, 0, 1), images[4])
    assert drawn[8:, 16:].eq(255).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_files_contain_the_pictures(tmp_path: Path, channels: int) -> None:
    picture = torch.randint(256, (channels, 5, 7), dtype=torch.uint8)
    (tmp_path / "a.png").write_bytes(standalone_generator.png(picture))
    with Image.open(tmp_path / "a.png") as image:
        read = torch.tensor(list(image.tobytes())).reshape(5, 7, channels)
    assert torch.equal(read.permute(2, 0, 1), picture)


def test_grid_shows_alpha_over_a_checkerboard() -> None:
    images = torch.tensor([10, 20, 30, 0], dtype=torch.uint8).view(1, 4, 1, 1).repeat(1, 1, 16, 16)
    images[:, 3, :, 8:] = 255
    shown = standalone_generator.over_checkerboard(images)[0]
    assert (shown[:, 0, 0].tolist(), shown[:, 8, 0].tolist()) == ([200] * 3, [255] * 3)
    assert shown[:, :, 8:].eq(torch.tensor([10, 20, 30]).view(3, 1, 1)).all()


def test_two_channels_are_refused(tmp_path: Path) -> None:
    write_bundle(published(tmp_path / "final", channels=4), "ema", tmp_path)
    tensors, about = standalone_generator.read_safetensors(
        (tmp_path / "generator.safetensors").read_bytes()
    )
    for kind in ("weight", "bias"):
        tensors[f"to_rgb.8.{kind}"] = tensors[f"to_rgb.8.{kind}"][:2]
    with pytest.raises(ValueError, match="draws pictures of 2 channels"):
        standalone_generator.generator_of(tensors, about)
