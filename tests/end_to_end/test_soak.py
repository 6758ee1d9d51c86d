"""A run that is killed again and again."""

from pathlib import Path

import pytest

from soak import Soak


@pytest.mark.slow
def test_five_kills_leave_no_trace(shapes: Path, tmp_path: Path) -> None:
    soak = Soak(tmp_path, shapes, seed=5)
    soak.kill(5)
    assert soak.kinds.total() == 5 and soak.runs >= 1
