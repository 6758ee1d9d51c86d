"""Pictures in a folder and its subfolders."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from progan.datasets.sources.labels import DATASET_JSON
from progan.datasets.sources.listing import (
    Entry,
    LabelFiles,
    Listing,
    Others,
    Rejected,
    is_hidden,
    is_picture,
    without_pictures,
)

Identity = tuple[int, int]
"""Device and inode: the same for a folder and for links to it."""


def recognises(location: str) -> bool:
    """Any folder."""
    return os.path.isdir(location)


def listing(location: str) -> Listing:
    """Regular files, and links to them, also in folders that links lead to. Excludes pipes, and
    folders that have been listed already or contain the link to them: links may loop."""
    entries: list[Entry] = []
    rejected: list[Rejected] = []
    others, labels = Others(), LabelFiles()
    for path in _files(location, rejected):
        relative = _relative(path, location)
        if os.path.basename(path) == DATASET_JSON and os.path.isfile(path):
            labels.add(relative, Path(path).read_bytes)
        if not is_picture(relative):
            others.add(relative)
            if _leads_nowhere(path) and not is_hidden(relative):
                rejected.append(Rejected(relative, "a link to a folder or file that is missing"))
        elif problem := _problem(path):
            rejected.append(Rejected(relative, problem))
        else:
            entries.append(Entry(relative, os.path.getsize(path)))
    return Listing(
        entries,
        rejected,
        label_files=labels.chosen,
        empty_folders=without_pictures(_folders(location), entries),
        others=str(others),
    )


def read(location: str, entry: Entry) -> bytes:
    """The content of one file."""
    return Path(location, entry.name).read_bytes()


def _files(location: str, rejected: list[Rejected]) -> Iterator[str]:
    """The paths of all files. First the folders below `location`, then those that links lead to:
    each folder once, whatever the links."""

    def unreadable(error: OSError) -> None:
        name = _relative(error.filename, location)
        rejected.append(Rejected(name, f"cannot be opened: {error.strerror}"))

    begins, seen = deque([location]), set[Identity]()
    while begins:
        begin = begins.popleft()
        if problem := _loop(begin, seen) if begin != location else None:
            rejected.append(Rejected(_relative(begin, location), problem))
            continue
        for folder, folders, files in os.walk(begin, onerror=unreadable):
            seen.add(_identity(folder))
            folders[:] = sorted(name for name in folders if not is_hidden(name))
            paths = [os.path.join(folder, name) for name in folders]
            begins.extend(filter(os.path.islink, paths))
            yield from (os.path.join(folder, name) for name in files)


def _folders(location: str) -> list[str]:
    """All folders; links are not looked at."""
    found = []
    for folder, folders, _ in os.walk(location):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        found += [os.path.join(folder, name) for name in folders]
    return [_relative(path, location) for path in found if not os.path.islink(path)]


def _loop(link: str, seen: set[Identity]) -> str | None:
    """Why a link to a folder must not be followed, or None."""
    target = os.path.realpath(link)
    if _identity(target) in seen:
        return "a link to a folder that is read already"
    if os.path.realpath(os.path.dirname(link)).startswith(target.rstrip("/") + "/"):
        return "a link to a folder that contains it"
    return None


def _leads_nowhere(path: str) -> bool:
    """Whether a path is a link that may have been to a folder, and is broken."""
    return not os.path.splitext(path)[1] and os.path.islink(path) and not os.path.exists(path)


def _identity(folder: str) -> Identity:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _problem(path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        annexed = os.path.islink(path) and ".git/annex/" in os.readlink(path)
        remedy = ": run `git annex get`" if annexed else ""
        return f"cannot be opened: {error.strerror}{remedy}"
    return None if stat.S_ISREG(mode) else "not a regular file"


def _relative(path: str, root: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")
