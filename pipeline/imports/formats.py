"""The checkpoints of other programs that can be brought in."""

from collections.abc import Callable
from pathlib import Path

from progan.datasets.files import sha256_file
from progan.pipeline.errors import ConfigError, RunError
from progan.pipeline.imports.converted import Converted, write_converted
from progan.pipeline.imports.gan_zoo import read_gan_zoo
from progan.pipeline.imports.official import read_official
from progan.pipeline.imports.pro_gan import read_pro_gan

Reader = Callable[[Path, int | None], Converted]
"""(the checkpoint, the resolution to take of it or None for what it has grown to)"""

READERS: dict[str, Reader] = {
    "tensorflow": read_official,
    "pytorch_gan_zoo": read_gan_zoo,
    "pro_gan_pytorch": read_pro_gan,
}


def import_checkpoint(path: Path, out: Path, kind: str, resolution: int | None) -> Converted:
    """Read another program's checkpoint and write its networks as a folder like a stage's `final/`.

    RunError if it is damaged, foreign, or computes what progan's networks cannot.
    """
    if not path.is_file():
        raise RunError(f"{path} is not there, or no file")
    if out.exists():
        raise ConfigError(f"{out} is there already: choose another OUT, or remove it")
    foreign = READERS[kind](path, resolution)
    write_converted(foreign, out, sha256_file(path))
    return foreign
