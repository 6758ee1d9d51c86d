"""The checkpoints of other programs that can be imported, and their readers."""

import os
from collections.abc import Callable
from pathlib import Path

from progan.datasets.errors import DataError
from progan.datasets.files import sha256_file
from progan.pipeline.errors import ConfigError
from progan.pipeline.imports.converted import Converted, write_converted
from progan.pipeline.imports.gan_zoo import read_gan_zoo
from progan.pipeline.imports.limits import memory_for, reason
from progan.pipeline.imports.official import read_official
from progan.pipeline.imports.pro_gan import read_pro_gan

Reader = Callable[[Path, int | None], Converted]
"""(the checkpoint, the resolution to import or None for the one it has grown to)"""

READERS: dict[str, Reader] = {
    "tensorflow": read_official,
    "pytorch_gan_zoo": read_gan_zoo,
    "pro_gan_pytorch": read_pro_gan,
}


def import_checkpoint(path: Path, out: Path, kind: str, resolution: int | None) -> Converted:
    """Convert another program's checkpoint to a folder like a stage's `final/`.

    ConfigError if there is none; DataError if it is damaged, of another program, or if progan's
    networks cannot compute the same.
    """
    if not path.is_file():
        raise ConfigError(f"{path} is not there, or no file")
    if os.path.lexists(out):
        raise ConfigError(f"{out} is there already: choose another OUT, or remove it")
    try:
        with memory_for(path):
            converted = READERS[kind](path, resolution)
            write_converted(converted, out, sha256_file(path))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (ConfigError, OSError):
        raise
    except Exception as error:  # of many types, by what a malformed file asks for
        raise DataError(
            f"{path} is damaged, or no checkpoint of {kind}: {reason(error)}"
        ) from error
    return converted
