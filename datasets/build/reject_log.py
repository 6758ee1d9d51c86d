"""The pictures left out of a data set: their number, its limit, and `rejected.csv`."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from progan.datasets.build.shard_job import FinishedShard, LeftOut
from progan.datasets.errors import DataError
from progan.datasets.files import write_whole
from progan.datasets.names import printable, shown
from progan.datasets.sources.listing import Rejected

REJECTED = "rejected.csv"
_FORMULA = ("=", "+", "-", "@")


class RejectCounts:
    """Pictures left out so far."""

    def __init__(self, source: str, total: int, rejected: Iterable[Rejected]) -> None:
        """`total` counts the pictures of the listing, without those that it `rejected`."""
        self._source = source
        self._left_out = [LeftOut(name=printable(name), reason=reason) for name, reason in rejected]
        self._total = total + len(self._left_out)

    def add(self, finished: FinishedShard) -> None:
        """Count the pictures that a finished job left out."""
        self._left_out += finished.left_out

    @property
    def rejected(self) -> int:
        """The number of files that could not be used."""
        return sum(not picture.too_small for picture in self._left_out)

    @property
    def too_small(self) -> int:
        """The number of pictures skipped for their size, by `--small skip`."""
        return len(self._left_out) - self.rejected

    def check(self, dataset: Path, most: float) -> None:
        """Raise DataError if more than the fraction `most` of all files is rejected."""
        if self.rejected <= most * self._total:
            return
        self.write(dataset)
        kinds = Counter(_kind(p.reason) for p in self._left_out if not p.too_small)
        kind, count = kinds.most_common(1)[0]
        first = min((p for p in self._left_out if _kind(p.reason) == kind), key=lambda p: p.name)
        raise DataError(
            f"{self.rejected} of {self._total} files of {self._source} cannot be used, more than "
            f"{100 * most:.3g} %; the commonest reason ({count} times), for example {first.name}: "
            f"{first.reason}. All are in {dataset / REJECTED}; allow more with --max-rejected"
        )

    def write(self, dataset: Path) -> None:
        """Write `rejected.csv`, sorted by name."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["picture", "reason"])
        rows = sorted((p.name, p.reason) for p in self._left_out)
        writer.writerows([_cell(name), _cell(reason)] for name, reason in rows)
        write_whole(dataset / REJECTED, text.getvalue().encode())


def _cell(text: str) -> str:
    """Text from outside that no spreadsheet takes for a formula, and no terminal for a command.

    The apostrophe is what OWASP advises against CSV injection.
    """
    return shown(f"'{text}" if text.startswith(_FORMULA) else text)


def _kind(reason: str) -> str:
    """A reason without its numbers."""
    return re.sub(r"\d+", "N", reason)
