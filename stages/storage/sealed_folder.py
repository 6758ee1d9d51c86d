"""Folders written atomically: files, and a JSON document with their checksums; no torch.

Checkpoints and hand-offs are such folders.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from progan.datasets.files import sha256_file, sync, write_json
from progan.stages.errors import StageError

CHECKSUMS = "sha256"


@contextmanager
def sealing(folder: Path, document: str, fields: dict[str, Any]) -> Iterator[Path]:
    """A temporary folder to write files to; renamed to `folder` if the block raises no error.

    `document` is the name of the JSON file that describes the folder: `fields` and, under "sha256",
    the checksum of every file. A folder of the same name is replaced.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        files = sorted(temporary.iterdir())
        for file in files:
            sync(file)
        checksums = {file.name: sha256_file(file) for file in files}
        write_json(temporary / document, fields | {CHECKSUMS: checksums})
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def unseal(folder: Path, document: str) -> dict[str, Any]:
    """The fields of a sealed folder, after all checksums were verified.

    Raises StageError naming what is missing or damaged.
    """
    try:
        fields: dict[str, Any] = json.loads((folder / document).read_bytes())
        checksums = dict[str, str](fields.pop(CHECKSUMS))
    except FileNotFoundError as error:
        raise StageError(f"{folder} is not there or has no {document}") from error
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise StageError(f"{folder / document} is damaged") from error
    for name, checksum in checksums.items():
        file = folder / name
        if not file.is_file():
            raise StageError(f"{file} is missing")
        if sha256_file(file) != checksum:
            raise StageError(f"{file} is damaged: its checksum does not hold")
    return fields
