"""Atomic writing: a file appears complete or not at all.

A process may be killed at any time, and others may read the folder meanwhile. So every file is
written under a temporary name in the same folder, flushed to the disk, and renamed.
"""

import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of a write, in which Python does not name the file"""


@contextmanager
def whole_files(paths: Sequence[Path]) -> Iterator[list[BinaryIO]]:
    """Binary files, open for writing; they get their names when the block ends without an error.

    Creates missing parent folders. After an error in the block, earlier files are unchanged.
    """
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are readable by their owner only, also after the rename.
    temporary = {p.with_name(f".{p.name}.{uuid.uuid4().hex[:12]}.tmp"): p for p in paths}
    try:
        with ExitStack() as stack:
            files: list[BinaryIO] = [stack.enter_context(p.open("xb")) for p in temporary]
            yield files
            _sync_all(files)
        for written, path in temporary.items():
            os.replace(written, path)
    except BaseException as error:
        for path in temporary:
            with suppress(OSError):  # perhaps the same error
                path.unlink()
        if isinstance(error, OSError):
            if error.filename is None and error.errno in _OF_WRITING and len(paths) == 1:
                error.filename = str(paths[0])
            _rename(error, {str(written): str(path) for written, path in temporary.items()})
        raise
    for folder in {path.parent for path in paths}:
        sync(folder)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """One binary file, open for writing: see `whole_files`."""
    with whole_files([path]) as (file,):
        yield file


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with whole_file(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON. Raises ValueError for NaN and infinity: JSON has none."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(path, text.encode() + b"\n")


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON document. Raises ValueError, also for one that is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sweep_temporary(folder: Path) -> None:
    """Remove the temporary files of killed writers under `folder`. No process may write there."""
    for leftover in folder.rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def some_of(names: Sequence[str], most: int = 3) -> str:
    """The first of several names, for messages: `a, b, c and 755 more`."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def _sync_all(files: Sequence[BinaryIO]) -> None:
    """Flush several files to the disk in parallel."""
    for file in files:
        file.flush()
    if len(files) == 1:
        os.fsync(files[0].fileno())
        return
    with ThreadPoolExecutor(len(files)) as threads:
        list(threads.map(lambda file: os.fsync(file.fileno()), files))


def sync(path: Path) -> None:
    """Flush a file's content, or the names in a folder, to the disk.

    After a rename, flush the folder too: flushing the file does not cover its name.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to write to; it becomes `path` when the block ends without an error.

    Creates missing parent folders, and removes the temporary folders of killed writers of `path`.
    OSError if `path` exists by then and is not an empty folder.
    """
    path = path.absolute()
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 12}.tmp"):
        with suppress(OSError), _locked(leftover):
            shutil.rmtree(leftover)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        temporary.mkdir(parents=True)
        with _locked(temporary):
            yield temporary
            for file in temporary.rglob("*"):
                sync(file)
            os.replace(temporary, path)
            sync(path.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            _rename(error, {str(temporary): str(path)})
        raise


def _rename(error: OSError, names: Mapping[str, str]) -> None:
    """Replace temporary paths in an error by those that the user knows."""
    for key in ("filename", "filename2"):
        named = getattr(error, key)
        for temporary, name in names.items():
            if isinstance(named, str | Path) and str(named).startswith(temporary):
                setattr(error, key, name + str(named).removeprefix(temporary))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder; OSError if another process holds it. The kernel unlocks it when that ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
