"""`model.init` is checked before a run starts, and pinned by its checksum."""

from pathlib import Path

import pytest
import torch

from networks import published
from progan.pipeline.cli.views.plan import plan_document, plan_table
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.host_memory import Machine
from progan.pipeline.plan.initial_weights import pinned
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.sampling.generate import load_generator
from progan.stages.errors import StageError
from progan.stages.networks.generator import Generator
from progan.stages.specs.stage import InitSpec
from progan.stages.storage.handoff import start_from
from progan.stages.training.networks import Networks, load_weights
from workers import spec

SHAPE = ("model.latent=16", "model.fmap_base=64", "model.fmap_max=16", "growth.first=8")


def config(init: Path, *words: str) -> RunConfig:
    return load_config("demo", (f"model.init={init}", *SHAPE, *words))


def test_first_stage_draws_the_pictures_of_the_initial_networks(
    tmp_path: Path, shapes: Path
) -> None:
    networks = published(tmp_path / "final")
    init = InitSpec(path=tmp_path / "final", sha256=networks.fingerprint)
    stage_spec = spec(shapes, model=networks.model, init=init)
    stage_networks = Networks.drawn(stage_spec)
    load_weights(stage_networks, stage_spec, None)
    latents = torch.randn(4, 16)
    pictures = stage_networks.ema(latents)
    assert torch.equal(pictures, load_generator(tmp_path / "final")(latents))
    assert not torch.equal(stage_networks.generator(latents), pictures)


def test_only_the_first_stage_has_initial_weights_and_it_does_not_fade(tmp_path: Path) -> None:
    networks = published(tmp_path / "final")
    specs = stage_specs(pinned(config(tmp_path / "final")), RunFolder(Path("RUN")), "")
    assert [bool(s.init) for s in specs] == [True, False, False]
    assert specs[0].growth.fade_images == 0
    assert specs[0].init and specs[0].init.sha256 == networks.fingerprint


def test_plan_shows_the_initial_weights(tmp_path: Path) -> None:
    published(tmp_path / "final")
    specs = stage_specs(pinned(config(tmp_path / "final")), RunFolder(Path("RUN")), "")
    document = plan_document(specs, [{"weights": 1}] * 3, Machine(1, True, None))
    assert document["init"]["networks"] == ["generator", "discriminator", "ema"]
    assert f"starts from {tmp_path / 'final'}" in str(plan_table(document).caption)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("model.latent=32",), "set model.latent=16"),
        (("growth.first=4", "model.fmap_max=8"), "set model.fmap_max=16 growth.first=8"),
    ],
)
def test_networks_of_another_shape_are_refused_with_the_keys_to_set(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    published(tmp_path / "final")
    with pytest.raises(ConfigError, match=says):
        pinned(config(tmp_path / "final", *words))


def test_folder_without_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model.init: .* is no exported generator"):
        pinned(config(tmp_path))


def test_weights_changed_after_pinning_are_refused(tmp_path: Path) -> None:
    networks = published(tmp_path / "final")
    init = InitSpec(path=tmp_path / "final", sha256="0" * 64)
    with pytest.raises(StageError, match="its weights have changed"):
        start_from({"generator": Generator(networks.model, 8)}, init)
