"""The newest generator of a run, also of a stage that still trains."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from drawn_run import draw_run
from networks import published
from progan.pipeline.cli.main import main
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.sampling.generate import load_generator
from progan.stages.networks.generator import Generator
from progan.stages.specs.stage import CheckpointSpec, StageSpec
from progan.stages.storage import checkpoint
from progan.stages.storage.checkpoint import Checkpoint
from progan.stages.storage.spec_file import read_spec
from progan.stages.storage.tensors import parameters
from progan.stages.training.networks import Networks

WORDS = "growth.last=8", "growth.fade_kimg=1", "growth.steady_kimg=1", "model.channels=3"
SHAPE = {"latent", "fmap_base", "fmap_max"}
LATENTS = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Stage 4 has ended; stage 8, of 2,000 images, has begun."""
    run = draw_run(tmp_path_factory.mktemp("newest") / "run", *WORDS, until=(8, 1500))
    model = read_spec(run.stage(8).spec).model
    published(run.stage(4).final, resolution=4, **model.model_dump(include=SHAPE))
    return run


def save(run: RunFolder, images: int) -> Generator:
    """A checkpoint of stage 8 with drawn weights; its average."""
    spec: StageSpec = read_spec(run.stage(8).spec)
    networks = Networks.drawn(spec)
    for parameter in networks.ema.parameters():
        torch.nn.init.normal_(parameter)
    tensors = {str(name): parameters(each) for name, each in networks.by_name().items()}
    checkpoint.save(run.stage(8), Checkpoint(images, images, tensors, {}), CheckpointSpec())
    return networks.ema


def command(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_last_finished_stage_draws_until_the_next_has_a_checkpoint(
    run: RunFolder, tmp_path: Path
) -> None:
    said = command("generate", run.path, tmp_path / "a.png", "--num", 2)
    assert f"drawn by the newest generator of {run.path}: 4x4 after 1,000 images" in said


def test_stage_in_its_fade_draws_at_its_alpha_and_is_not_exported(
    run: RunFolder, tmp_path: Path
) -> None:
    ema = save(run, 250)
    with torch.no_grad():
        assert torch.equal(load_generator(run.path)(LATENTS), ema(LATENTS, 0.25))
    said = command("generate", run.path, tmp_path / "a.png", "--num", 2)
    assert "8x8 after 250 images, fading in (alpha 0.25)" in said
    refusal = command("export", run.path, tmp_path / "out", "--checkpoint", "newest", code=1)
    assert "alpha 0.25): an export has no fade; wait" in refusal
    assert not (tmp_path / "out").exists()


def test_steady_stage_is_drawn_and_exported_from_its_newest_whole_checkpoint(
    run: RunFolder, tmp_path: Path
) -> None:
    ema = save(run, 1200)
    save(run, 1400)
    (run.stage(8).checkpoint(1400) / "ema.safetensors").write_bytes(b"")
    with torch.no_grad():
        assert torch.equal(load_generator(run.path)(LATENTS), ema(LATENTS))
    command("export", run.path, tmp_path / "out", "--checkpoint", "newest")
    about = json.loads((tmp_path / "out" / "generator.json").read_text())
    assert (about["resolution"], about["images_seen"]) == (8, 1200)
