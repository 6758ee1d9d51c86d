"""Pictures in a folder and its subfolders."""

import os
import stat
from pathlib import Path

from progan.datasets.sources.labels import DATASET_JSON
from progan.datasets.sources.listing import Entry, Listing, Rejected, is_picture


def recognises(location: str) -> bool:
    """Any folder."""
    return os.path.isdir(location)


def listing(location: str) -> Listing:
    """Regular files, and links to them. Excludes pipes, and links to folders, which may loop."""
    entries: list[Entry] = []
    rejected: list[Rejected] = []

    def unreadable(error: OSError) -> None:
        name = os.path.relpath(error.filename, location)
        rejected.append(Rejected(name, f"cannot be opened: {error.strerror}"))

    for folder, folders, files in os.walk(location, onerror=unreadable):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__MACOSX"]
        for name in folders:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                rejected.append(Rejected(_relative(path, location), "a link to a folder"))
        for name in files:
            path = os.path.join(folder, name)
            relative = _relative(path, location)
            if not is_picture(relative):
                continue
            if problem := _problem(path):
                rejected.append(Rejected(relative, problem))
            else:
                entries.append(Entry(relative, os.path.getsize(path)))
    labels = Path(location, DATASET_JSON)
    dataset_json = labels.read_bytes() if labels.is_file() else None
    return Listing(entries, rejected, dataset_json=dataset_json)


def read(location: str, entry: Entry) -> bytes:
    """The content of one file."""
    return Path(location, entry.name).read_bytes()


def _problem(path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    return None if stat.S_ISREG(mode) else "not a regular file"


def _relative(path: str, root: str) -> str:
    return os.path.relpath(path, root).replace(os.sep, "/")
