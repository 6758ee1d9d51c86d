"""Reads the files of torch.save without running code from them, and within bounds."""

import re
import zipfile
from collections.abc import Callable, Mapping
from mmap import mmap
from pathlib import Path
from typing import Any

import torch

from progan.datasets.errors import DataError
from progan.pipeline.imports.limits import mapped, reason
from progan.pipeline.imports.pickle_limits import require_modest

# What a checkpoint of tensors needs. torch would also allow functions that allocate memory.
_NEEDED = re.compile(
    r"collections\.OrderedDict|torch\.(cuda\.)?\w+Storage|torch\.(float|int|uint)\d+|torch\.bool|"
    r"torch\.(Size|device)|torch\._utils\._rebuild_(tensor|tensor_v2|parameter)|"
    r"torch\.nn\.parameter\.Parameter"
)
_LEGACY_PICKLES = 5


def load_checkpoint(path: Path, stand_ins: Mapping[str, type] | None = None) -> dict[str, Any]:
    """A checkpoint of tensors and plain values. DataError if it is damaged or malicious.

    stand_ins: by full name, for classes whose objects are in the file.
    """
    stand_ins = stand_ins or {}
    given: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (stand_in, name) for name, stand_in in stand_ins.items()
    ]
    try:
        with mapped(path) as content:
            names = _names(path, content)
        for name in sorted(names - stand_ins.keys()):
            if not _NEEDED.fullmatch(name):
                raise ValueError(f"it names {name[:100]}, which no checkpoint of tensors needs")
        with torch.serialization.safe_globals(given):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # damaged files raise many types
        raise DataError(f"no checkpoint of tensors, or damaged: {reason(error)}") from error
    if not isinstance(loaded, dict):
        raise DataError(f"it holds a {type(loaded).__name__}, not a checkpoint's dictionary")
    return loaded


def _names(path: Path, content: mmap) -> set[str]:
    """The classes and functions that the file names. ValueError unless its pickles are modest."""
    if content[:4] == b"PK\x03\x04":
        return _names_in_zip(path)
    if not content[:1] == b"\x80":
        raise ValueError("torch.save writes no such file")
    return set().union(*(require_modest(content) for _ in range(_LEGACY_PICKLES)))


def _names_in_zip(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("its members are compressed, as torch.save never does")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its members claim more bytes than the file has")
        names: set[str] = set()
        for member in members:
            if member.filename.lower().endswith(".pkl"):  # torch does not distinguish them either
                with archive.open(member) as pickled:
                    names |= require_modest(pickled)
        return names
