"""Features of the reals, kept in a stage's folder: the next measurement does not need the reals."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from progan.datasets.files import write_whole
from progan.datasets.format.npy import npy_bytes, parse_npy
from progan.stages.metrics.safe_collectives import RankSlice

log = logging.getLogger(__name__)
MOST_BYTES = 10**9
"""Of one rank's features; more are not kept"""


class KeptFeatures:
    """This rank's rows of float32 (pictures, F), which all ranks, in a file each, have in common.

    The key names everything that the features depend on. Files of another key are replaced.
    """

    def __init__(self, folder: Path, key: tuple[object, ...], own: RankSlice) -> None:
        self._folder, self._own = folder, own
        self._key = hashlib.sha256(repr(key).encode()).hexdigest()[:16]

    def read(self) -> Tensor | None:
        """The rows, if the files hold all of them, written by however many ranks."""
        try:
            found, row = [], self._own.begin
            for rows, file in sorted(self._files()):
                if rows.begin <= row < min(rows.end, self._own.end):
                    features = torch.from_numpy(parse_npy(file.read_bytes()))
                    found.append(features[row - rows.begin : self._own.end - rows.begin])
                    row += len(found[-1])
            return torch.cat(found) if row == self._own.end else None
        except (OSError, EOFError, ValueError, RuntimeError) as error:
            log.warning("features of reals in %s are computed again: %s", self._folder, error)
            return None

    def write(self, features: Tensor) -> None:
        """Keep the rows; an error of the disk is logged."""
        if features.nbytes > MOST_BYTES:
            return
        try:
            self._folder.mkdir(exist_ok=True)
            for file in self._folder.glob("*.npy"):
                if not file.name.startswith(self._key):
                    file.unlink(missing_ok=True)
            name = f"{self._key}.{self._own.begin}-{self._own.end}.npy"
            write_whole(self._folder / name, npy_bytes(features.numpy()))
        except OSError as error:
            log.warning("features of reals not kept in %s: %s", self._folder, error)

    def _files(self) -> Iterator[tuple[RankSlice, Path]]:
        for file in self._folder.glob(f"{self._key}.*-*.npy"):
            begin, _, end = file.name.split(".")[1].partition("-")
            yield RankSlice(int(begin), int(end)), file
