"""`model.representative` is checked before a run starts, and pinned by shape and checksum."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from networks import encoder_folder, published
from progan.pipeline.cli.main import main
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.initial_weights import pinned
from progan.pipeline.plan.plan import check, stage_specs
from progan.pipeline.run_folder import RunFolder, freeze_config, frozen_config

SHAPE = ("model.latent=16", "model.fmap_base=64", "model.fmap_max=16", "growth.first=8")


def config(folder: Path, *words: str) -> RunConfig:
    return load_config("demo", (f"model.representative={folder}", *words))


def test_shape_checksum_and_channels_are_frozen(tmp_path: Path) -> None:
    shape = encoder_folder(tmp_path / "encoder", channels=1)
    begun = pinned(config(tmp_path / "encoder"))
    assert begun.model.discriminator.representative == shape
    assert begun.model.channels == 1
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    freeze_config(run, begun)
    (tmp_path / "encoder" / "encoder.safetensors").unlink()
    assert pinned(frozen_config(run)) == begun
    again = pinned(config(tmp_path / "encoder"), frozen_config(run))
    assert again.model.discriminator.representative == shape


def test_only_the_first_stage_reads_the_folder(tmp_path: Path) -> None:
    shape = encoder_folder(tmp_path / "encoder")
    specs = stage_specs(pinned(config(tmp_path / "encoder")), RunFolder(Path("RUN")), "")
    assert [spec.representative for spec in specs] == [tmp_path / "encoder", None, None, None]
    assert all(spec.model.discriminator.representative == shape for spec in specs)


def test_what_is_wrong_with_the_folder_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    with pytest.raises(ConfigError, match="holds no pretrained encoder; make one with"):
        pinned(config(folder))
    encoder_folder(folder)
    with pytest.raises(ConfigError, match="sees 3 channels, and model.channels is 1"):
        pinned(config(folder, "model.channels=1"))
    (folder / "encoder.safetensors").write_bytes(b"other")
    with pytest.raises(ConfigError, match="encoder.safetensors is damaged"):
        pinned(config(folder))
    (folder / "encoder.safetensors").unlink()
    with pytest.raises(ConfigError, match="encoder.safetensors is missing"):
        pinned(config(folder))


def test_run_on_pictures_of_other_channels_is_refused(shapes: Path, tmp_path: Path) -> None:
    encoder_folder(tmp_path / "encoder", channels=1)
    words = ["demo", f"data.path={shapes}", f"model.representative={tmp_path / 'encoder'}"]
    run = tmp_path / "run"
    ended = CliRunner().invoke(
        main, ["train", *words, "growth.last=8", "batch=8", "--run", str(run)]
    )
    assert ended.exit_code == 2
    assert "sees 1 channels (grey), and the pictures of" in ended.stderr
    assert not run.exists()


def test_decoding_head_and_a_shape_alone_are_refused(tmp_path: Path) -> None:
    encoder_folder(tmp_path / "encoder")
    decoding = "model.discriminator={head: autoencoder, minibatch: none}"
    with pytest.raises(ConfigError, match="a head of kind autoencoder reconstructs"):
        check(pinned(config(tmp_path / "encoder", decoding)), ranks=1)
    alone = (
        "model.discriminator.representative={resolution: 8, fmap_base: 8, fmap_max: 8, sha256: x}"
    )
    with pytest.raises(ConfigError, match="is set by progan; set model.representative"):
        check(load_config("demo", (alone,)), ranks=1)


def test_run_from_initial_networks_goes_on_with_their_encoder(tmp_path: Path) -> None:
    shape = encoder_folder(tmp_path / "encoder")
    published(tmp_path / "final", discriminator={"representative": shape})
    init = f"model.init={tmp_path / 'final'}"
    begun = pinned(load_config("demo", (init, *SHAPE)))
    assert begun.model.discriminator.representative == shape
    check(begun, ranks=1)
    encoder_folder(tmp_path / "other", seed=8)
    with pytest.raises(ConfigError, match="features of another encoder; leave out"):
        pinned(config(tmp_path / "other", init, *SHAPE))
    published(tmp_path / "plain")
    with pytest.raises(ConfigError, match="shares no encoder's features; leave out"):
        pinned(config(tmp_path / "encoder", f"model.init={tmp_path / 'plain'}", *SHAPE))
