"""model.channels is the data set's number, or refused before anything starts."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from networks import published
from progan.datasets.build.prepare import prepare
from progan.datasets.format.manifest import load_manifest
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.cli.main import main
from progan.pipeline.cli.views.plan import plan_document, plan_table
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.channels import assumed, with_channels
from progan.pipeline.plan.host_memory import Machine
from progan.pipeline.plan.initial_weights import pinned
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.train import train
from progan.stages.errors import StageError
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.job import run_stage
from progan.stages.training.stop_request import StopRequest
from workers import spec

SHAPE = ("model.latent=16", "model.fmap_base=64", "model.fmap_max=16", "growth.first=8")


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grey")
    draw_dataset(folder / "pictures", num=8, size=8, channels=1)
    prepare(folder / "pictures", folder / "dataset", 8, channels=1, workers=1)
    return folder / "dataset"


def config(dataset: Path, *words: str) -> RunConfig:
    return load_config("demo", (f"data.path={dataset}", "growth.last=8", "batch=8", *words))


def test_channels_are_the_data_sets(grey: Path) -> None:
    found = with_channels(config(grey), load_manifest(grey))
    assert found.model.channels == 1
    assert {s.model.channels for s in stage_specs(found, RunFolder(Path("RUN")), "")} == {1}
    assert with_channels(found, load_manifest(grey)) == found


def test_unknown_data_set_leaves_three_and_a_note(tmp_path: Path) -> None:
    unknown = config(tmp_path / "none")
    assert with_channels(unknown, None) == unknown
    assert unknown.model.spec.channels == 3
    assert "model.channels: 3 (RGB) is assumed" in (assumed(unknown) or "")
    assert assumed(config(tmp_path, "model.channels=3")) is None


def test_plan_and_train_refuse_another_number(grey: Path, tmp_path: Path) -> None:
    words = ["demo", f"data.path={grey}", "growth.last=8", "batch=8", "model.channels=3"]
    for command in (["plan", *words], ["train", *words, "--run", str(tmp_path / "run")]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 2
        assert f"model.channels: 3, but the pictures of {grey} have 1 (grey)" in result.stderr
    assert not (tmp_path / "run").exists()


def test_plan_shows_what_the_pictures_are(grey: Path) -> None:
    specs = stage_specs(with_channels(config(grey), load_manifest(grey)), RunFolder(Path()), "")
    document = plan_document(specs, [None, None], Machine(1, True, None))
    assert document["channels"] == 1
    assert str(plan_table(document).title).endswith("kimg in 2 stages, grey")


def test_initial_networks_of_other_channels_are_refused(grey: Path, tmp_path: Path) -> None:
    published(tmp_path / "final")
    init = config(grey, f"model.init={tmp_path / 'final'}", *SHAPE)
    says = r"model.init: .* draw 3 channels \(RGB\), and the pictures of .* have 1 \(grey\)"
    with pytest.raises(ConfigError, match=says):
        train(init, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_initial_networks_give_the_channels_of_an_unknown_data_set(tmp_path: Path) -> None:
    published(tmp_path / "final", channels=4)
    init = config(tmp_path / "none", f"model.init={tmp_path / 'final'}", *SHAPE)
    assert pinned(init).model.channels == 4


def test_worker_refuses_a_spec_of_other_channels(grey: Path, tmp_path: Path) -> None:
    def give_up(message: str) -> None:
        raise AssertionError(message)

    with pytest.raises(StageError, match=r"model.channels: 3, but the pictures of .* have 1"):
        run_stage(spec(grey), StageFolder(tmp_path), StopRequest(tmp_path / "stop"), give_up)
