"""Features of reals are found again by any number of ranks, and computed again if damaged."""

import logging
from pathlib import Path

import pytest
import torch

from progan.stages.metrics.kept_features import KeptFeatures
from progan.stages.metrics.safe_collectives import rank_slice

COUNT = 30
WHOLE = torch.arange(COUNT * 3, dtype=torch.float32).reshape(COUNT, 3)


def kept(folder: Path, rank: int, ranks: int, key: str = "key") -> KeptFeatures:
    return KeptFeatures(folder, (key, 1), rank_slice(COUNT, rank, ranks))


def write(folder: Path, ranks: int, key: str = "key") -> None:
    for rank in range(ranks):
        own = rank_slice(COUNT, rank, ranks)
        kept(folder, rank, ranks, key).write(WHOLE[own.begin : own.end])


@pytest.mark.parametrize("readers", [1, 2, 3, 4])
@pytest.mark.parametrize("writers", [1, 2, 3])
def test_other_numbers_of_ranks_find_their_rows(writers: int, readers: int, tmp_path: Path) -> None:
    write(tmp_path / "f", writers)
    found = [kept(tmp_path / "f", rank, readers).read() for rank in range(readers)]
    assert all(part is not None for part in found)
    assert torch.equal(torch.cat([part for part in found if part is not None]), WHOLE)


def test_nothing_is_found_of_another_key_or_of_a_part(tmp_path: Path) -> None:
    assert kept(tmp_path / "f", 0, 1).read() is None
    kept(tmp_path / "f", 1, 2).write(WHOLE[14:])
    assert kept(tmp_path / "f", 0, 1).read() is None
    write(tmp_path / "f", 1, "other")
    assert kept(tmp_path / "f", 0, 1).read() is None
    assert len(list((tmp_path / "f").iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", None])
def test_damaged_file_is_named_and_ignored(
    content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, 1)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-4] if content is None else content)
    with caplog.at_level(logging.WARNING):
        assert kept(tmp_path, 0, 1).read() is None
    assert f"features of reals in {tmp_path} are computed again" in caplog.text


def test_error_of_the_disk_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "f").write_text("a file")
    write(tmp_path / "f", 1)
    assert f"features of reals not kept in {tmp_path / 'f'}" in caplog.text
