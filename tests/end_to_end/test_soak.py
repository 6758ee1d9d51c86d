"""A run that is killed three times. `make soak` kills it 50 times, at random."""

from itertools import chain, repeat
from pathlib import Path

import pytest

from soak import (
    Kill,
    Soak,
    a_rank,
    all_ranks,
    asked,
    everything,
    handing_off,
    writing_checkpoint,
)

PLAN: list[Kill] = [
    (writing_checkpoint, everything),
    (handing_off, all_ranks),
    (writing_checkpoint, asked),
]


@pytest.mark.slow
def test_three_kills_leave_no_trace(shapes: Path, tmp_path: Path) -> None:
    soak = Soak(tmp_path, shapes, chain(PLAN, repeat((1.0, a_rank))))
    soak.kill(3)
    assert soak.kinds.total() == 3 and soak.runs >= 1
