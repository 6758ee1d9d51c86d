"""Files of JSON lines, on disks that fill up: one process appends, others read; no torch."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from progan.datasets.files import parse_json

T = TypeVar("T")
log = logging.getLogger(__name__)
_named: set[tuple[Path, bytes]] = set()
"""Damaged lines that were logged"""


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Add a line; it is on the disk when this returns.

    Removes what an interrupted write has left after the last whole line. Raises OSError, and then
    the file is as it was.
    """
    line = memoryview(json.dumps(value, allow_nan=False).encode() + b"\n")
    with path.open("a+b", buffering=0) as file:
        end = _end_of_lines(file)
        file.truncate(end)
        try:
            while line:
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def _end_of_lines(file: BinaryIO) -> int:
    """Size of a file up to its last newline."""
    end = file.seek(0, os.SEEK_END)
    if end == 0 or (file.seek(end - 1) and file.read(1) == b"\n"):
        return end
    file.seek(0)
    return file.read().rfind(b"\n") + 1


def read_lines(path: Path, parse: Callable[[dict[str, Any]], T]) -> list[T]:
    """The lines of a file, if it exists, as `read_numbered`."""
    return list(read_numbered(path, parse).values())


def read_numbered(path: Path, parse: Callable[[dict[str, Any]], T]) -> dict[int, T]:
    """The lines of a file, if it exists, by number from 0, each as `parse` makes it of an object.

    A damaged line, of which `parse` raises ValueError, KeyError, TypeError or OverflowError, is
    left out and logged. An unfinished last line is left out.
    """
    try:
        *lines, _unfinished = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    parsed = {}
    for number, line in enumerate(lines):
        try:
            parsed[number] = parse(_object(line))
        except (ValueError, KeyError, TypeError, OverflowError):
            if (path, line) not in _named:
                log.warning("%s, line %d is damaged and left out", path, number + 1)
                _named.add((path, line))
    return parsed


def _object(line: bytes) -> dict[str, Any]:
    value = parse_json(line)
    if not isinstance(value, dict):
        raise TypeError("no JSON object")
    return value
