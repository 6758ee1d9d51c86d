"""The size of a data set, estimated from a few of its pictures, and the space on the disk."""

import shutil
from pathlib import Path

import numpy as np

from progan.datasets.build.plan import Plan
from progan.datasets.build.sandboxed_decoder import SandboxedDecoder
from progan.datasets.build.shard_job import crop_key, decoder_settings
from progan.datasets.errors import DataError, UnusablePicture
from progan.datasets.format.shards import RECORD, member_bytes
from progan.datasets.sources.source import Source

_PICTURES = 16


def expected_bytes(source: Source, plan: Plan, picture_seconds: float) -> int:
    """Size of all shards and indexes, from the mean of 16 pictures spread over the source."""
    settings = decoder_settings(plan, picture_seconds)
    decoder, sizes = SandboxedDecoder(settings), []
    for index in np.linspace(0, plan.num_pictures - 1, _PICTURES).astype(int):
        try:
            data = source.read(int(index))
            levels = decoder.levels(data, crop_key(plan, source.entries[index].name))
        except UnusablePicture:
            continue
        labels = 0 if source.labels is None else member_bytes(1)
        records = (member_bytes(len(e)) + labels + RECORD.itemsize for e in levels.encoded.values())
        sizes.append(sum(records))
    decoder.close()
    return int(np.mean(sizes) * plan.num_pictures) if sizes else 0


def gigabytes(num_bytes: float) -> str:
    """12.3 GB, or MB below one."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def require_space(dataset: Path, needed: int) -> None:
    """Raise DataError if less than `needed` bytes are free on the disk of the folder `dataset`."""
    free = shutil.disk_usage(dataset).free
    if needed > free:
        raise DataError(
            f"the data set needs about {gigabytes(needed)} more and {dataset} has "
            f"{gigabytes(free)} free: make room, or choose another folder or --resolution"
        )
