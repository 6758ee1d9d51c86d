"""The members of a tar file, one by one; damage is an error that says where.

Python's tarfile reads the headers, but silently ends its list at a damaged one, or reads on after
it (`ignore_zeros`) and leaves out the members it hid. Here a tar file is whole only if its end is
marked by two blocks of zeros, or more up to a full record. Then the file ends, or another tar file
begins, which is read too: `cat a.tar b.tar` gives such files.
"""

import io
import os
import re
import tarfile
from collections.abc import Iterator

from progan.datasets.errors import DataError
from progan.datasets.sources.listing import is_picture

_BLOCK = tarfile.BLOCKSIZE
_END_BYTES = 2 * _BLOCK
# More zeros at the end are not padding, but what a download has not filled.
_MOST_PADDING = 1 << 21
_CHUNK_BYTES = 1 << 20
# An extended header holds a few names and numbers, and attributes of some file systems.
_LARGEST_HEADER = 1 << 20
_MOST_DIGITS = 1000
_SHOWN_NAME = 100
# The first bytes of gzip, bzip2, xz and zstd files.
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


def is_tar(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins with a header of a tar file, or is a tar file without members."""
    with open(path, "rb") as file:
        start = file.read(_END_BYTES)
    try:
        tarfile.TarInfo.frombuf(start[:_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return start == bytes(_END_BYTES)
    return True


def is_compressed(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as compressed files do."""
    with open(path, "rb") as file:
        return file.read(6).startswith(_COMPRESSED)


def members(path: str, title: str) -> Iterator[tarfile.TarInfo]:
    """The members of the tar file at `path`. Raises DataError, which names `title`, for a file that
    is compressed or damaged, when it comes to the damage."""
    if is_compressed(path):
        raise DataError(
            f"{title} is compressed, so no picture can be read by itself: unpack it first, or give "
            "a command that does, such as 'pipe:gzip -dc FILE'"
        )
    pictures = 0
    try:
        for member in _members(path):
            yield member
            pictures += member.isreg() and is_picture(member.name)
    except _Damage as damage:
        raise DataError(
            f"{title} is damaged at byte {damage.at:,}, after {pictures:,} pictures: {damage}. "
            "Copy or download it again"
        ) from damage


def _members(path: str) -> Iterator[tarfile.TarInfo]:
    """Raises _Damage."""
    size = os.path.getsize(path)
    with _HeaderFile(io.FileIO(path)) as file:
        archive = _Archive(fileobj=file)
        begin, at, ended = 0, 0, False
        while at + _BLOCK <= size:
            if not os.pread(file.fileno(), _BLOCK, at).strip(b"\0"):
                after = _after_zeros(file.fileno(), at)
                _check_end(begin, at, after, size)
                begin, at, ended = after, after, True
                archive.pax_headers = {}  # of one tar file, not of the next
                continue
            ended = False
            file.seek(at)
            try:
                member = tarfile.TarInfo.fromtarfile(archive)
            except Exception as error:  # damaged numbers raise many types, MemoryError among them
                why = str(error) if isinstance(error, tarfile.HeaderError) else "it makes no sense"
                raise _Damage(at, f"a header cannot be read ({why})") from error
            _check(member, at, archive.offset, size)
            yield member
            at = archive.offset
        if at < size or not ended:
            raise _Damage(at, "the file ends before the tar file does")


def _after_zeros(file: int, at: int) -> int:
    """The offset of the first block after `at` with anything but zeros, or of the file's end."""
    while chunk := os.pread(file, _CHUNK_BYTES, at):
        rest = len(chunk.lstrip(b"\0"))
        at += len(chunk) - rest
        if rest:
            return at - at % _BLOCK
    return at


def _check_end(begin: int, at: int, after: int, size: int) -> None:
    """Raise _Damage unless the zeros from `at` to `after` end the tar file that begins at `begin`.

    Within the file they may be a gap of lost pictures as well. The programs that write tar files
    write two blocks, or fill up to a full record.
    """
    zeros = after - at
    if after == size:
        whole = _END_BYTES <= zeros <= _MOST_PADDING
    else:
        full = zeros > _END_BYTES and (after - begin) % tarfile.RECORDSIZE == 0
        whole = zeros == _END_BYTES or full
    if not whole:
        raise _Damage(at, f"{zeros:,} bytes of zeros in place of a header")


def _check(member: tarfile.TarInfo, at: int, following: int, size: int) -> None:
    """Raise _Damage unless the member at `at` and its content lie before the end of the file."""
    name = member.name[:_SHOWN_NAME]
    if "\0" in member.name:
        raise _Damage(at, f"the name {name} holds a zero byte")
    if member.size < 0 or following <= at:
        raise _Damage(at, f"{name} has {member.size:,} bytes")
    content = member.size if member.isreg() and not member.issparse() else 0
    if max(following, member.offset_data + content) > size:
        raise _Damage(at, f"{name} should have {member.size:,} bytes, and the file ends within")


class _Damage(Exception):
    """The message says what is wrong at byte `at`."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at = at


class _Archive(tarfile.TarFile):
    """What tarfile remembers from one header to the next."""

    def next(self) -> tarfile.TarInfo | None:
        """Nothing: the constructor calls it, and would read the first header."""
        return None


class _HeaderFile(io.BufferedReader):
    """A file of which tarfile reads headers only: none may exhaust the memory or take for ever."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Raises HeaderError where a header is too large, or holds an absurd number."""
        if size is None or not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.HeaderError(f"it has {size} bytes")
        data = super().read(size)
        # tarfile's regular expressions take time proportional to the square of this number.
        if size > _BLOCK and any(len(n) > _MOST_DIGITS for n in re.findall(rb"\d+", data)):
            raise tarfile.HeaderError(f"a number in it has more than {_MOST_DIGITS} digits")
        return data
