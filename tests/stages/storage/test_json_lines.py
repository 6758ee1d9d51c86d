"""Files of JSON lines on disks that fill up, and damaged ones."""

import errno
import io
import logging
from pathlib import Path
from typing import Any

import pytest

from progan.stages.storage.json_lines import append_line, read_lines


def numbers(path: Path) -> list[int]:
    return read_lines(path, lambda line: int(line["n"]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    append_line(tmp_path / "lines.jsonl", {"n": 1})
    append_line(tmp_path / "lines.jsonl", {"n": 2})
    return tmp_path / "lines.jsonl"


@pytest.mark.parametrize("rest", [b'{"n": 3', b"\xff", b"\x00" * 5])
def test_what_a_killed_write_left_is_cut_off(path: Path, rest: bytes) -> None:
    with path.open("ab") as file:
        file.write(rest)
    assert numbers(path) == [1, 2]
    append_line(path, {"n": 4})
    assert numbers(path) == [1, 2, 4]
    assert rest not in path.read_bytes()


def test_only_an_unfinished_line_leaves_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_bytes(b'{"n": ')
    append_line(tmp_path / "lines.jsonl", {"n": 1})
    assert (tmp_path / "lines.jsonl").read_bytes() == b'{"n": 1}\n'


def test_full_disk_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    class FullDisk(io.FileIO):
        """Takes three bytes, then none."""

        def write(self, data: Any, /) -> int:
            if self.tell() > len(before):
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(bytes(data[:3]))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, mode, buffering: FullDisk(self, "a+"))
        with pytest.raises(OSError, match="No space left"):
            append_line(path, {"n": 3})
    assert path.read_bytes() == before
    append_line(path, {"n": 4})
    assert numbers(path) == [1, 2, 4]


@pytest.mark.parametrize(
    "damaged", [b'{"n": 1{"n": 2}', b'{"n": \xff}', b"\x00\x00", b"[1]", b'{"m": 1}', b"[" * 99_999]
)
def test_damaged_lines_are_named_once_and_left_out(
    path: Path, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(damaged + b"\n" + path.read_bytes())
    with caplog.at_level(logging.WARNING):
        assert (numbers(path), numbers(path)) == ([1, 2], [1, 2])
    assert caplog.messages == [f"{path}, line 1 is damaged and left out"]


def test_missing_file_has_no_lines(tmp_path: Path) -> None:
    assert numbers(tmp_path / "lines.jsonl") == []
