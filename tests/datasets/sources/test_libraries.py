"""Pictures from torchvision and Hugging Face."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from progan.datasets.build.prepare import prepare
from progan.datasets.errors import DataError
from progan.datasets.sources.libraries import parse
from progan.datasets.sources.source import open_source


def png(level: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (level, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("library", "extra", "location"),
    [("lmdb", "lmdb", None), ("datasets", "hf", "hf:cifar10")],
)
def test_missing_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, extra: str, location: str | None
) -> None:
    (tmp_path / "data.mdb").write_bytes(b"")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DataError, match=rf"pip install 'progan\[{extra}\]'"):
        open_source(location or tmp_path)


def test_name_and_options_are_parsed() -> None:
    assert parse("hf:someone/faces,split=test") == ("someone/faces", {"split": "test"})
    assert parse("torchvision:FakeData,size=5,image_size=3x8x8,flag=true") == (
        "FakeData",
        {"size": 5, "image_size": (3, 8, 8), "flag": True},
    )
    with pytest.raises(DataError, match="'train' is not KEY=VALUE"):
        parse("hf:cifar10,train")


def test_torchvision_data_set(tmp_path: Path) -> None:
    location = "torchvision:FakeData,size=40,image_size=3x16x16,num_classes=4"
    source = open_source(location)
    assert source.classes == ("0", "1", "2", "3")
    with ThreadPoolExecutor(2) as threads:  # new processes would have to import torch
        manifest = prepare(location, tmp_path / "d", 16, executor=threads)
    assert manifest.num_samples == 40
    assert manifest.source.name == location
    first = Image.open(io.BytesIO(source.read(0)))
    assert first.size == (16, 16) and first.mode == "RGB"
    assert np.asarray(first).std() > 10


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("torchvision:Nothing", "torchvision.datasets has no Nothing"),
        ("torchvision:CIFAR10,root=/nowhere", "Dataset not found"),
        ("torchvision:FakeData,sighs=3", "sighs"),
        ("torchvision:CIFAR10", "lacks the folder .*: say torchvision:CIFAR10,root=FOLDER"),
        ("torchvision:VisionDataset,root=/nowhere", "NotImplementedError"),
        ("torchvision:FakeData,size=" + "[" * 30_000, "torchvision:FakeData,size="),
        ("torchvision:FakeData,image_size=3x" + "8" * 5000, "torchvision:FakeData,image_size="),
    ],
)
def test_wrong_torchvision_options_raise_data_error(location: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(location)


@pytest.mark.filterwarnings("ignore")  # in the library
def test_hugging_face_data_set(tmp_path: Path) -> None:
    huggingface = pytest.importorskip("datasets")
    pictures = [{"bytes": png(level), "path": None} for level in range(3)]
    features = huggingface.Features(
        {"picture": huggingface.Image(), "kind": huggingface.ClassLabel(names=["no", "yes"])}
    )
    columns = {"picture": pictures, "kind": [1, 0, 1]}
    huggingface.Dataset.from_dict(columns, features=features).save_to_disk(tmp_path / "saved")
    source = open_source(f"hf:{tmp_path / 'saved'}")
    assert [source.read(n) for n in range(3)] == [png(level) for level in range(3)]
    assert source.labels == (1, 0, 1)
    assert source.classes == ("no", "yes")
    with pytest.raises(DataError, match="say image=COLUMN"):
        open_source(f"hf:{tmp_path / 'saved'},image=kind")
