"""`step.py --against`: which rows are slower than before."""

from typing import Any

import pytest

from step import comparable, slower_rows


def results(against_reference: float, **changes: Any) -> dict[str, Any]:
    row = {"resolution": 32, "precision": "fp32", "batch": 4, "overrides": []}
    return {"rows": [row | {"against_reference": against_reference} | changes]}


def test_row_over_ten_percent_slower_is_reported() -> None:
    assert slower_rows(results(11.1), results(10.0)) == ["32x32 fp32 batch 4: 1.11 times"]


@pytest.mark.parametrize("now", [5.0, 10.9])
def test_row_within_ten_percent_is_not_reported(now: float) -> None:
    assert slower_rows(results(now), results(10.0)) == []


@pytest.mark.parametrize(
    "change", [{"resolution": 64}, {"batch": 8}, {"precision": "bf16"}, {"overrides": ["seed=1"]}]
)
def test_only_rows_of_the_same_step_are_compared(change: dict[str, Any]) -> None:
    new, old = results(20.0, **change), results(10.0)
    assert slower_rows(new, old) == []
    assert not comparable(new, old)
