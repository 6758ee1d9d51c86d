"""Hugging Face's `datasets` reads each level of a prepared data set, with names of classes."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from progan.datasets.build.card import write_card
from progan.datasets.build.prepare import prepare
from progan.datasets.format.manifest import Manifest, load_manifest
from progan.datasets.format.reader import Level
from progan.datasets.synthetic import draw_dataset


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unlabelled")
    draw_dataset(folder / "pictures", num=6, size=8)
    prepare(folder / "pictures", folder / "dataset", 8, workers=1, labels="none")
    return folder / "dataset"


def metadata(folder: Path) -> dict[str, Any]:
    text = (folder / "README.md").read_text()
    front, _, body = text.removeprefix("---\n").partition("\n---\n")
    assert body.startswith("\n# ")
    return YAML(typ="safe").load(front)  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("resolution", [4, 16])
def test_level_is_loaded_with_names_of_classes(
    shapes: Path, tmp_path: Path, resolution: int
) -> None:
    library = pytest.importorskip("datasets")
    level = Level(shapes, load_manifest(shapes), resolution)
    loaded = library.load_dataset(
        str(shapes), str(resolution), split="train", cache_dir=str(tmp_path)
    )
    assert len(loaded) == 96 and loaded[0]["webp"].size == (resolution, resolution)
    assert loaded["cls"][:] == level.labels.tolist()
    assert loaded.features["cls"].names == load_manifest(shapes).classes


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_largest_level_is_the_default(unlabelled: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("datasets")
    loaded = library.load_dataset(str(unlabelled), split="train", cache_dir=str(tmp_path))
    assert len(loaded) == 6 and loaded[0]["webp"].size == (8, 8)
    assert "cls" not in loaded.features


def test_names_of_classes_are_text_whatever_they_hold(shapes: Path, tmp_path: Path) -> None:
    names = ["a: b", "a\n---\nb", "'\"\n#", "no", "\u202e{x}", "y" * 200]
    manifest = load_manifest(shapes)
    write_card(tmp_path, Manifest.model_validate(manifest.model_dump() | {"classes": names}))
    info = metadata(tmp_path)["dataset_info"][0]
    assert list(info["features"][1]["dtype"]["class_label"]["names"].values()) == names
