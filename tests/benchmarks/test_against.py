"""What --against calls slower."""

from typing import Any

import pytest

from step import comparable, slower


def results(against_reference: float, **changes: Any) -> dict[str, Any]:
    row = {"resolution": 32, "precision": "fp32", "batch": 4, "overrides": []}
    return {"rows": [row | {"against_reference": against_reference} | changes]}


def test_over_ten_percent_is_told_with_its_row() -> None:
    assert slower(results(11.1), results(10.0)) == ["32x32 fp32 batch 4: 1.11 times"]


@pytest.mark.parametrize("now", [5.0, 10.9])
def test_what_is_no_slower_is_not_told(now: float) -> None:
    assert slower(results(now), results(10.0)) == []


@pytest.mark.parametrize(
    "change", [{"resolution": 64}, {"batch": 8}, {"precision": "bf16"}, {"overrides": ["seed=1"]}]
)
def test_only_the_same_step_is_compared(change: dict[str, Any]) -> None:
    new, old = results(20.0, **change), results(10.0)
    assert slower(new, old) == []
    assert not comparable(new, old)
