"""What a resumed run takes on, and that nothing is written before all checks pass."""

import os
from pathlib import Path

import psutil
import pytest

from networks import published
from progan.datasets.build.prepare import prepare
from progan.datasets.format.manifest import load_manifest
from progan.datasets.synthetic import draw_dataset
from progan.pipeline import train as train_module
from progan.pipeline.config.schema import load_config
from progan.pipeline.config.yaml_io import write_yaml
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run.beginning.adoption import begun_stages
from progan.pipeline.run.events import EventLog
from progan.pipeline.run_folder import RunFolder
from progan.pipeline.train import resume
from progan.stages.storage.spec_file import read_spec

WORDS = (
    "growth.last=8", "growth.fade_kimg=0.5", "growth.steady_kimg=0.5", "model.channels=3",
    "launch.gpus_per_node=1", "tracking.mlflow=off", "engine.precision=fp32",
)  # fmt: skip


@pytest.fixture(autouse=True)
def without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_module, "_train_stages", lambda *_: None)


@pytest.fixture
def run(tmp_path: Path, shapes: Path) -> RunFolder:
    """Stage 4 has ended after 500 images; stage 8, of 1,000, has a checkpoint after 400."""
    return make_run(tmp_path / "run", shapes)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory, shapes: Path) -> dict[str, Path]:
    """The pictures of `shapes` prepared larger, and other pictures."""
    folder = tmp_path_factory.mktemp("data")
    prepare(shapes.parent / "pictures", folder / "larger", 32, workers=1)
    draw_dataset(folder / "pictures", num=96, size=16, simple=True)
    prepare(folder / "pictures", folder / "other", 16, workers=1)
    return {"larger": folder / "larger", "other": folder / "other"}


def make_run(path: Path, data: Path) -> RunFolder:
    config, manifest = load_config("demo", (f"data.path={data}", *WORDS)), load_manifest(str(data))
    run = RunFolder(path)
    for resolution in (4, 8):
        spec = stage_spec(config, run, manifest.fingerprint, resolution)
        run.stage(resolution).path.mkdir(parents=True)
        run.stage(resolution).spec.write_text(spec.model_dump_json())
    published(run.stage(4).final, resolution=4)
    run.stage(8).checkpoint(400).mkdir(parents=True)
    write_yaml(run.config, config)
    EventLog(run.events).append(
        "run_created", data_fingerprint=manifest.fingerprint, pictures=manifest.pictures
    )
    return run


def finish(run: RunFolder, resolution: int = 8) -> None:
    published(run.stage(resolution).final, resolution=resolution)


def everything(run: RunFolder) -> dict[str, bytes]:
    files = (path for path in run.path.rglob("*") if path.is_file() and path != run.lock_file)
    return {str(path): path.read_bytes() for path in files}


def kinds(run: RunFolder) -> list[str]:
    return [event.kind for event in EventLog(run.events).events()]


@pytest.mark.parametrize(
    ("words", "stage"),
    [
        (["data.path=OTHER"], None),
        (["data.path=OTHER"], 8),
        (["data.path=OTHER"], 4),
        (["data.path=LARGER", "growth.last=32"], None),
        (["data.path=LARGER", "growth.last=32"], 8),
        (["seed=1"], 8),
        (["optimizer.lr=1"], None),
        (["optimizer={kind: sgd, lr: 0.1}"], 8),
        (["growth.last=32"], 8),
        (["launch.gpus_per_node=5"], 8),
    ],
)
def test_refused_words_change_nothing(
    run: RunFolder, others: dict[str, Path], words: list[str], stage: int | None
) -> None:
    before = everything(run)
    named = [word.replace("OTHER", str(others["other"])) for word in words]
    named = [word.replace("LARGER", str(others["larger"])) for word in named]
    with pytest.raises(Exception, match=r"fingerprint|run was started|has begun|holds 4 to|shared"):
        resume(run.path, tuple(named), stage, detach=False)
    assert everything(run) == before


def test_finished_run_goes_on_with_the_same_pictures_prepared_larger(
    run: RunFolder, others: dict[str, Path]
) -> None:
    finish(run)
    words = f"data.path={others['larger']}", "growth.last=32"
    resume(run.path, words, None, detach=False)
    assert kinds(run)[1:] == ["config_changed", "data_changed"]
    resume(run.path, (), None, detach=False)
    assert kinds(run)[1:] == ["config_changed", "data_changed"]


def test_stage_in_training_says_which_data_set_it_needs(
    run: RunFolder, others: dict[str, Path], shapes: Path
) -> None:
    with pytest.raises(RunError, match=f"stage 8 has begun with the data set {shapes}") as caught:
        resume(run.path, (f"data.path={others['larger']}",), None, detach=False)
    assert "finish the stage with it, then go on with the other one" in str(caught.value)


def test_change_is_recorded_with_its_image_and_holds_at_the_next_start(run: RunFolder) -> None:
    said: list[str] = []
    words = ("optimizer.lr=0.5",)
    resume(run.path, words, None, detach=False, change=True, on_message=said.append)
    assert said == [
        "4x4 has ended and stays as it was trained, without optimizer.lr 0.002 -> 0.5",
        "8x8 goes on from 0.4 kimg with optimizer.lr 0.002 -> 0.5",
    ]
    events = [event for event in EventLog(run.events).events() if event.kind == "stage_changed"]
    assert [(e.fields["resolution"], e.fields["images_seen"]) for e in events] == [
        (4, 1000), (8, 400),
    ]  # fmt: skip
    before = everything(run)
    resume(run.path, (), None, detach=False)
    assert everything(run) == before
    with pytest.raises(ConfigError, match=r"with 0.002, not 0.7"):
        resume(run.path, ("optimizer.lr=0.7",), None, detach=False)


def test_ended_stage_that_is_made_longer_is_opened_again(run: RunFolder) -> None:
    finish(run)
    resume(run.path, ("growth.steady_kimg.8=4",), None, detach=False)
    assert kinds(run)[1:] == ["config_changed", "stage_changed", "stage_reopened"]
    assert not run.stage(8).final.exists()
    assert len(list(run.superseded.glob("*/0008/final/manifest.json"))) == 1
    assert [stage.images_seen for stage in begun_stages(run)] == [1000, 400]


def test_running_workers_keep_what_they_were_started_with(run: RunFolder) -> None:
    handle = f"{os.getpid()}@{psutil.Process().create_time()}"
    EventLog(run.events).append("stage_started", resolution=8, handle=handle)
    before = everything(run)
    with pytest.raises(RunError, match=r"still train stage 8 .* stop them first \(touch "):
        resume(run.path, ("growth.steady_kimg.8=4",), None, detach=False)
    assert everything(run) == before
    resume(run.path, ("checkpoint.keep=9",), None, detach=False)


def test_stages_that_grew_from_a_reopened_one_are_set_aside_though_growth_ends_earlier(
    run: RunFolder,
) -> None:
    resume(run.path, ("growth.last=4",), 4, detach=False)
    assert len(list(run.superseded.glob("*/0008/spec.json"))) == 1
    assert [stage.resolution for stage in begun_stages(run)] == [4]


def test_micro_batch_changes_in_a_begun_stage_without_a_word(run: RunFolder) -> None:
    resume(run.path, ("micro_batch=4",), None, detach=False)
    assert kinds(run)[1:] == ["config_changed"]
    assert read_spec(run.stage(8).spec).micro_batch is None  # the next start writes it
