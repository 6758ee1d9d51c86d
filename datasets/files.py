"""The one place that writes whole files: a file appears complete or not at all.

A process may be killed at any instant, and others may look at the folder meanwhile. So everything
is written under a temporary name in the same folder, flushed to the disk, and renamed.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def whole_files(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """Binary files to write to; they take their names when the block ends without an error.

    Missing parent folders are made. An error in the block leaves whatever was there before.
    """
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are readable by their owner only, and would stay so after the rename.
    temporary = [path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp") for path in paths]
    try:
        with ExitStack() as stack:
            files: list[BinaryIO] = [stack.enter_context(p.open("xb")) for p in temporary]
            yield files
            _sync_all(files)
        for written, path in zip(temporary, paths, strict=True):
            os.replace(written, path)
    except BaseException:
        for path in temporary:
            path.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in paths}:
        sync(folder)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """One binary file to write to: see `whole_files`."""
    with whole_files([path]) as (file,):
        yield file


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with whole_file(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON. NaN and infinity are refused (ValueError): JSON has none."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(path, text.encode() + b"\n")


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sweep_temporary(folder: Path) -> None:
    """Remove what killed writers left anywhere under `folder`. Nobody may be writing there."""
    for leftover in folder.rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def _sync_all(files: Sequence[BinaryIO]) -> None:
    """Flush to the disk, several at once: the disk takes them together."""
    for file in files:
        file.flush()
    if len(files) == 1:
        os.fsync(files[0].fileno())
        return
    with ThreadPoolExecutor(len(files)) as threads:
        list(threads.map(lambda file: os.fsync(file.fileno()), files))


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power cut.

    A rename needs the folder's too: the file's own does not cover its name.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
