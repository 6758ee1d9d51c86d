"""What progan.api's functions return and refuse."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from drawn_run import draw_run
from networks import published
from progan.api import (
    ConfigError,
    DataError,
    NetworksError,
    Report,
    RunError,
    StoppedError,
    StoreError,
    load_generator,
    open_dataset,
    prepare,
    read_metrics,
    resume,
    train,
)
from progan.datasets.format.manifest import load_manifest
from progan.datasets.format.reader import Level
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.api import training
from progan.pipeline.api.training import as_words
from progan.pipeline.config.schema import RunConfig, load_config
from progan.pipeline.sampling.generate import generate


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "final"
    published(folder, classes=3)
    return folder


def test_import_is_quick() -> None:
    code = "import sys, progan.api; print('torch' in sys.modules)"
    argv = [sys.executable, "-c", code]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == "False\n"


def test_unknown_names_are_attribute_errors() -> None:
    import progan.api

    with pytest.raises(AttributeError, match="no attribute 'generate'"):
        progan.api.generate  # noqa: B018


def test_dataset_has_the_pictures_and_labels_of_the_level(shapes: Path) -> None:
    dataset = open_dataset(shapes, 8)
    level = Level(shapes, load_manifest(shapes), 8)
    picture, label = dataset[-1]
    assert len(dataset) == 96 and picture.dtype == torch.uint8
    assert (picture.numpy() == level.picture(95)).all() and label == level.labels[95]
    assert dataset.labels.tolist() == level.labels.tolist()
    assert dataset.classes[label] in {"cross", "disc", "ring", "square", "star", "triangle"}
    with pytest.raises(IndexError):
        dataset[96]
    with pytest.raises(IndexError):
        dataset[-97]


@pytest.mark.parametrize("workers", [0, 1])
def test_dataset_feeds_a_loader(shapes: Path, workers: int) -> None:
    dataset = open_dataset(shapes, 4)
    expected = torch.stack([dataset[index][0] for index in range(96)])
    context = "spawn" if workers else None
    loader = DataLoader(dataset, 40, num_workers=workers, multiprocessing_context=context)
    batches = [batch for batch, _ in loader]
    assert [len(batch) for batch in batches] == [40, 40, 16]
    assert torch.equal(torch.cat(batches), expected)


def test_dataset_is_read_after_a_fork_and_after_close(shapes: Path) -> None:
    dataset = open_dataset(shapes, 4)
    dataset._process = os.getpid() + 1  # as in a child
    first = dataset._level
    assert dataset[0][0].shape == (3, 4, 4) and dataset._level is not first
    dataset.close()
    assert len(pickle.dumps(dataset)) < 100_000 and dataset[0][0].shape == (3, 4, 4)


def test_dataset_is_read_from_object_storage(shapes: Path, tmp_path: Path) -> None:
    import fsspec

    remote = fsspec.filesystem("memory")
    remote.put(str(shapes), "/python-api", recursive=True)
    dataset = open_dataset("memory://python-api", 8, cache_folder=tmp_path)
    assert torch.equal(dataset[5][0], open_dataset(shapes, 8)[5][0])
    dataset.close()


def test_dataset_refuses_a_level_that_is_missing(shapes: Path) -> None:
    with pytest.raises(DataError, match="holds 4 to 16 pixels, not 32"):
        open_dataset(shapes, 32)


def test_prepare_refuses_a_colour_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="background 'whiter' is no colour"):
        prepare(tmp_path, tmp_path / "out", 8, background="whiter")
    assert not (tmp_path / "out").exists()


def test_prepare_stores_at_a_url(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "pictures", num=20, size=8)
    url = "memory://prepared-by-api"
    prepared = prepare(tmp_path / "pictures", url, 8, workers=1, build_in=tmp_path / "here")
    assert load_manifest(url) == prepared
    with pytest.raises(StoreError, match="is there already"):
        prepare(tmp_path / "pictures", url, 8, workers=1)
    with pytest.raises(DataError, match="leave them out"):
        prepare(tmp_path / "pictures", "s3://me:secret@bucket/x", 8)


@pytest.mark.parametrize("options", [{}, {"truncation": 0.7}])
def test_pictures_are_those_of_the_command(
    model: Path, tmp_path: Path, options: dict[str, float]
) -> None:
    generate(model, tmp_path / "out", num=20, seed=5, **options)  # type: ignore[arg-type]
    images = load_generator(model).images(20, seed=5, **options)  # type: ignore[arg-type]
    files = sorted((tmp_path / "out").iterdir())
    assert [image.tobytes() for image in images] == [Image.open(file).tobytes() for file in files]


def test_more_pictures_begin_with_the_fewer(model: Path) -> None:
    generator = load_generator(model)
    many = generator.draw(3, seed=1)
    assert many.shape == (3, 3, 8, 8) and many.dtype == torch.uint8
    assert torch.equal(generator.draw(2, seed=1), many[:2])


def test_classes_are_chosen_by_name_or_label(model: Path) -> None:
    generator = load_generator(model)
    in_turn = generator.inputs(4)[:, -3:].argmax(1).tolist()
    mixed = generator.inputs(3, classes=["class2", 0, "1"])[:, -3:].argmax(1).tolist()
    same = generator.inputs(2, classes="class1")[:, -3:].argmax(1).tolist()
    assert (in_turn, mixed, same) == ([0, 1, 2, 0], [2, 0, 1], [1, 1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": 0}, "n is 1 or more"),
        ({"seed": -1}, "seed 0 or more"),
        ({"truncation": 0.0}, "above 0"),
        ({"classes": "clas1"}, "^classes clas1: no such class; did you mean class1"),
        ({"n": 3, "classes": ["class1"]}, "1 classes for 3 pictures"),
    ],
)
def test_wrong_arguments_are_refused(model: Path, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_generator(model).draw(**arguments)  # type: ignore[arg-type]


def test_generator_is_found_in_runs_and_folders(tmp_path: Path, model: Path) -> None:
    run = draw_run(tmp_path / "run", "growth.last=16", "data.path=x", until=(16, 0))
    with pytest.raises(RunError, match="no stage of .* has a checkpoint yet"):
        load_generator(run.path)
    published(run.stage(8).final)
    assert load_generator(run.path).resolution == 8
    with pytest.raises(ConfigError, match="--stage 64"):
        load_generator(run.path, stage=64)
    with pytest.raises(ConfigError, match="is no run"):
        load_generator(model, stage=8)
    with pytest.raises(NetworksError, match="is no exported generator"):
        load_generator(tmp_path)


def test_changes_are_those_of_words(tmp_path: Path) -> None:
    changes = {
        "seed": 3,
        "data": {"path": tmp_path},
        "batch": {8: 32, "default": 16},
        "growth": {"last": 16},
        "optimizer": {"lr": {4: 1e-05}},
        "tracking": {"mlflow": "off", "tags": {}},
        "objective": {"penalties": [{"kind": "r1", "weight": 2}]},
    }
    config = load_config("demo", tuple(as_words(changes)))
    assert (config.seed, config.data.path, config.growth.last) == (3, str(tmp_path), 16)
    assert (config.batch.at(8), config.batch.at(4)) == (32, 16)
    assert config.optimizer.lr.at(4) == 1e-05 and config.tracking.mlflow == "off"
    assert config.objective.penalties[0].kind == "r1"


def test_wrong_keys_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="growth.lost"):
        train("demo", tmp_path / "run", growth={"lost": 64})
    with pytest.raises(ConfigError, match="is no run"):
        resume(tmp_path / "run")
    assert not any(tmp_path.iterdir())


def test_interrupt_stops_a_run_and_signals_are_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(config: RunConfig, path: Path, **options: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(training, "train_run", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError):
        train("demo", tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is before


def test_training_in_another_thread_leaves_signals_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: list[object] = []

    def look(config: RunConfig, path: Path, **options: object) -> None:
        handlers.append(signal.getsignal(signal.SIGINT))

    monkeypatch.setattr(training, "train_run", look)
    thread = threading.Thread(target=train, args=("demo", tmp_path / "run"))
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGINT)]


def test_metrics_are_rows_of_the_whole_run(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    run = draw_run(tmp_path / "run", "growth.last=8", "data.path=x")
    rows = read_metrics(run.path)
    assert [row["run_images"] for row in rows] == sorted(row["run_images"] for row in rows)
    assert {row["resolution"] for row in rows} == {4, 8}
    last = rows[-1]
    assert last["run_images"] == 4000 + last["images_seen"] == 10_000
    assert isinstance(rows, list) and "generator_loss" in last
    table = rows.to_frame()
    assert isinstance(table, pandas.DataFrame) and len(table) == len(rows)


def test_table_without_pandas_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = draw_run(tmp_path / "run", "growth.last=4", "data.path=x")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pandas"):
        read_metrics(run.path).to_frame()


def test_report_is_a_frame_in_a_notebook_and_a_file(tmp_path: Path) -> None:
    run = draw_run(tmp_path / "run", "growth.last=4", "data.path=x")
    report = Report(run.path)
    shown = report._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts" srcdoc="&lt;!doctype html&gt;')
    assert shown.count('"') == 6
    saved = report.save(tmp_path / "page.html").read_text()
    assert saved.startswith("<!doctype html>") and "<title>run" in saved
    with pytest.raises(ConfigError, match="is no run"):
        Report(tmp_path)
