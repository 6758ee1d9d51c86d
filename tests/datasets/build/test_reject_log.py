"""`rejected.csv` holds names from outside, and is opened in terminals and spreadsheets."""

import csv
from pathlib import Path

import pytest

from progan.datasets.build.reject_log import REJECTED, RejectCounts
from progan.datasets.errors import DataError
from progan.datasets.sources.listing import Rejected


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("a, \"b\".png", "a, \"b\".png"),
        ("=HYPERLINK(A1).png", "'=HYPERLINK(A1).png"),
        ("+1.png", "'+1.png"),
        ("-1.png", "'-1.png"),
        ("@SUM(A1).png", "'@SUM(A1).png"),
        ("\t=1.png", r"\t=1.png"),
        ("\x1b[31m\r\n=1.png", r"\x1b[31m\r\n=1.png"),
        ("\udcff.png", r"\xff.png"),
    ],
)  # fmt: skip
def test_cells_are_neither_formulas_nor_commands(tmp_path: Path, name: str, cell: str) -> None:
    rejects = RejectCounts("photos", 1, [Rejected(name, f"{name} is broken")])
    rejects.write(tmp_path)
    with (tmp_path / REJECTED).open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["picture", "reason"], [cell, f"{cell} is broken"]]


def test_message_shows_escaped_names(tmp_path: Path) -> None:
    rejects = RejectCounts("photos", 1, [Rejected("\x1b[2J.png", "cannot\nbe read")])
    with pytest.raises(DataError, match=r"for example \\x1b\[2J\.png: cannot\\nbe read"):
        rejects.check(tmp_path, 0.05)
