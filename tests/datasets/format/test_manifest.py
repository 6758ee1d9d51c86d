"""The manifest describes a data set; `verify` finds missing and changed files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from progan.datasets.errors import DataError
from progan.datasets.format.manifest import load_manifest
from progan.datasets.format.verify import verify


@pytest.fixture
def copy(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "copy"))


def test_manifest_describes_the_data_set(dataset: Path) -> None:
    manifest = load_manifest(dataset)
    assert manifest.num_samples == 70
    assert manifest.resolutions == [4, 8, 16]
    assert manifest.classes == ["cross", "disc", "ring", "square", "star", "triangle"]
    assert manifest.class_counts == [12, 12, 12, 12, 11, 11]
    assert [shard.num_samples for shard in manifest.levels[8]] == [32, 32, 6]


def test_verify_finds_no_problems_in_an_intact_data_set(dataset: Path) -> None:
    assert not verify(dataset, load_manifest(dataset))


def test_verify_names_missing_and_changed_files(copy: Path) -> None:
    (copy / "0004" / "000000.tar").unlink()
    (copy / "0008" / "000001.npy").write_bytes(b"")
    with (copy / "0008" / "000000.tar").open("ab") as file:
        file.write(b"more")
    tar = copy / "0016" / "000000.tar"
    tar.write_bytes(tar.read_bytes().replace(b"0", b"1", 1))
    problems = verify(copy, load_manifest(copy))
    expected = ["0004/000000.tar is missing", "0008/000000.tar has", "000001.npy", "000000.tar has"]
    assert len(problems) == 4
    assert all(part in problem for part, problem in zip(expected, problems, strict=True))


def test_verify_names_the_damaged_record(copy: Path) -> None:
    tar = copy / "0016" / "000001.tar"
    content = bytearray(tar.read_bytes())
    record = np.load(tar.with_suffix(".npy"))[5]
    content[int(record["offset"]) + 20] ^= 1
    tar.write_bytes(content)
    (problem,) = verify(copy, load_manifest(copy))
    assert problem.endswith("000001.tar has changed: its SHA-256 differs, of records 5")


@pytest.mark.parametrize("made", [False, True])
def test_folder_without_data_set_raises_data_error(tmp_path: Path, made: bool) -> None:
    path = tmp_path / "faces"
    if made:
        path.mkdir()
    with pytest.raises(DataError, match=f"make one with: progan prepare SOURCE {path}"):
        load_manifest(path)


def test_unknown_schema_version_raises_data_error(copy: Path) -> None:
    content = json.loads((copy / "manifest.json").read_text()) | {"schema_version": 99}
    (copy / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="schema version 99"):
        load_manifest(copy)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"schema_version": 1}', '{"a":' * 30_000, "\ud800"]
)
def test_damaged_manifest_raises_data_error(copy: Path, content: str) -> None:
    (copy / "manifest.json").write_text(content, errors="surrogatepass")
    with pytest.raises(DataError, match="damaged"):
        load_manifest(copy)


@pytest.mark.parametrize(
    "change",
    [{"levels": {}}, {"levels": {"4": []}}, {"channels": 2}, {"num_samples": 0},
     {"classes": ["\ud800"]}],
)  # fmt: skip
def test_manifest_with_impossible_values_raises_data_error(
    copy: Path, change: dict[str, object]
) -> None:
    content = json.loads((copy / "manifest.json").read_text()) | change
    (copy / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="manifest.json is damaged"):
        load_manifest(copy)


def test_manifest_cannot_name_shards_outside_the_data_set(copy: Path) -> None:
    text = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(text.replace("000000.tar", "../../../etc/a.tar"))
    with pytest.raises(DataError, match="damaged"):
        load_manifest(copy)
