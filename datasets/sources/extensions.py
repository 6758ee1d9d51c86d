"""Which of several pictures that belong together are used: photographs, not their masks.

The pictures of a WebDataset sample have equal names and different extensions: `1.jpg`, `1.png`, or
`1.png`, `1.seg.png`.
"""

import re
from collections import Counter
from collections.abc import Sequence

from progan.datasets.errors import DataError
from progan.datasets.files import some_of
from progan.datasets.sources.labeling.folders import Note
from progan.datasets.sources.listing import Entry, Listing

# An extension of two parts; a name with a dot in it, such as "photo 2.0.png", has a number there.
_DOUBLE = re.compile(r"(?P<stem>.+)\.[A-Za-z_]\w*\.\w+", re.DOTALL)
_JPEG = frozenset(("jpg", "jpeg", "jpe", "jfif"))


def choose(
    listing: Listing, source: str, extensions: Sequence[str], note: Note = lambda line: None
) -> Listing:
    """Keep the pictures with one of these extensions, such as "jpg" or "seg.png".

    Where the name is otherwise equal, "png" is 1.png and not 1.seg.png. Without extensions, of a
    sample of tar files the picture is that of a plain extension, and JPEG before a lossless
    format; in other sources all are kept. Raises DataError if that does not decide, or if no
    picture is left.
    """
    wanted = [extension.lower().lstrip(".") for extension in extensions]
    if not wanted and not _any_related(listing.entries):
        return listing  # the usual case
    groups = _groups(listing.entries)
    if wanted:
        kept = [entry for group in groups for entry in _with_extension(group, wanted)]
        if not kept:
            found = Counter(_extension(entry.name) for entry in listing.entries)
            there = some_of([f"{n:,} .{extension}" for extension, n in found.most_common()])
            raise DataError(
                f"no picture of {source} ends in .{' or .'.join(wanted)}: it has {there}"
            )
    else:
        several = [group for group in groups if len(_extensions(group)) > 1]
        if not several:
            return listing
        if not listing.in_samples:
            note(_pairs(several))
            return listing
        kept = [entry for group in groups for entry in _usual(group, source)]
        used = sorted({_extension(e.name) for group in several for e in _usual(group, source)})
        note(
            f"{len(several):,} samples hold several pictures, such as "
            f"{' and '.join(entry.name for entry in several[0])}: .{' and .'.join(used)} is used; "
            "--extension chooses others"
        )
    names = {entry.name for entry in kept}
    return listing._replace(entries=[e for e in listing.entries if e.name in names])


def _any_related(entries: Sequence[Entry]) -> bool:
    """Whether any two pictures belong together."""
    stems = {_stem(entry.name) for entry in entries}
    return len(stems) < len(entries) or any(
        double and double["stem"] in stems
        for double in map(_DOUBLE.fullmatch, (entry.name for entry in entries))
    )


def _groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Pictures that belong together. `1.seg.png` belongs to `1.png` or `1.jpg` if there is one."""
    stems = {_stem(entry.name) for entry in entries}
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        double = _DOUBLE.fullmatch(entry.name)
        joined = double is not None and double["stem"] in stems
        groups.setdefault(double["stem"] if double and joined else _stem(entry.name), []).append(
            entry
        )
    return list(groups.values())


def _with_extension(group: list[Entry], wanted: Sequence[str]) -> list[Entry]:
    """The pictures of a group with the first extension that it has."""
    for extension in wanted:
        found = [entry for entry in group if entry.name.lower().endswith(f".{extension}")]
        if found:
            shortest = min(len(entry.name) for entry in found)
            return [entry for entry in found if len(entry.name) == shortest]
    return []


def _usual(group: list[Entry], source: str) -> list[Entry]:
    """The pictures of a sample. Raises DataError if it is not clear which they are."""
    plain = min(entry.name.count(".") for entry in group)
    kept = [entry for entry in group if entry.name.count(".") == plain]
    jpegs = [entry for entry in kept if _extension(entry.name) in _JPEG]
    kept = jpegs or kept
    if len(found := sorted(_extensions(kept))) > 1:
        raise DataError(
            f"{source}: samples hold several pictures, such as "
            f"{' and '.join(entry.name for entry in kept)}: choose by --extension "
            f"{' or --extension '.join(found)}"
        )
    return kept


def _pairs(groups: list[list[Entry]]) -> str:
    return (
        f"{len(groups):,} times pictures have one name and several extensions, such as "
        f"{' and '.join(entry.name for entry in groups[0])}: all are used; --extension chooses"
    )


def _extensions(group: Sequence[Entry]) -> set[str]:
    """By their whole ending after what they share."""
    shortest = min(len(_stem(entry.name)) for entry in group)
    return {entry.name[shortest + 1 :].lower() for entry in group}


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _extension(name: str) -> str:
    return name.rpartition(".")[2].lower()
