"""How many threads a rank reads with."""

import pytest

from progan.datasets import processors as module
from progan.datasets.processors import reading_threads


@pytest.mark.parametrize(
    ("processors", "ranks", "expected"),
    [(1, None, 2), (2, None, 2), (2, "2", 2), (4, None, 3), (16, "1", 8), (128, "8", 8),
     (32, "8", 3), (64, "8", 7)],
)  # fmt: skip
def test_a_rank_reads_with_its_share_of_the_processors(
    processors: int, ranks: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "processors", lambda: processors)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if ranks:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", ranks)
    assert reading_threads(256, remote=False) == expected
    assert reading_threads(4, remote=True) == expected
    assert reading_threads(32, remote=False) == 1
