"""Files appear complete or not at all."""

import hashlib
import resource
import shutil
from pathlib import Path

import pytest

from progan.datasets.files import (
    parse_json,
    sha256_file,
    sweep_temporary,
    whole_file,
    whole_folder,
    write_json,
    write_whole,
)


def test_write_whole_leaves_no_temporary_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "a.bin", b"abc")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"abc"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_error_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_whole(path, b"old")
    with pytest.raises(RuntimeError, match="power"), whole_file(path) as file:
        file.write(b"new")
        raise RuntimeError("power cut")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 250)
    with pytest.raises(OSError) as caught:
        write_whole(path, b"")
    assert caught.value.filename == str(path)


def test_full_disk_names_the_file(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # as a full disk, but EFBIG
    try:
        with pytest.raises(OSError, match="too large") as caught:
            write_whole(tmp_path / "a.bin", bytes(99))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path / "a.bin")


def test_error_names_the_folder_and_not_the_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, whole_folder(tmp_path / "model") as folder:
        shutil.copy(__file__, folder / "in" / "a.py")
    assert caught.value.filename == str(tmp_path / "model" / "in" / "a.py")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as caught, whole_folder(tmp_path / "file" / "model"):
        pass
    assert caught.value.filename == str(tmp_path / "file" / "model")


def test_json_that_is_nested_too_deeply_raises_value_error() -> None:
    assert parse_json(b'{"a": [1]}') == {"a": [1]}
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json("[" * 30_000 + "]" * 30_000)


def test_nan_in_json_raises_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_sweep_removes_temporary_files_of_killed_writers(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".a.tar.0123456789ab.tmp").write_bytes(b"half")
    (tmp_path / "b" / "a.tar").write_bytes(b"whole")
    sweep_temporary(tmp_path)
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["a.tar"]


def test_sha256_of_a_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"abc")
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_error_while_writing_a_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "new" / "a") as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt
    assert not list((tmp_path / "new").iterdir())


def test_folders_of_killed_writers_are_removed_but_not_those_of_living_ones(tmp_path: Path) -> None:
    killed = tmp_path / ".a.0123456789ab.tmp"
    write_whole(killed / "half", b"")
    with whole_folder(tmp_path / "a"):
        assert not killed.exists()
        with whole_folder(tmp_path / "a") as second:
            assert len(list(tmp_path.iterdir())) == 2
        (tmp_path / "a").rmdir()
    assert not second.exists()


def test_folder_that_somebody_filled_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not empty"), whole_folder(tmp_path / "a") as folder:
        (folder / "ours").touch()
        write_whole(tmp_path / "a" / "theirs", b"")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "theirs"]
