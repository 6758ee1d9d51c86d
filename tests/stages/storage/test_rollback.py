"""Data between a rollback's checkpoint and the diverging step is never used again."""

from pathlib import Path

import pytest

from progan.stages.errors import StageError
from progan.stages.storage.rollback import Rollback, add_rollback, read_rollbacks, resume_position


def rollback(begin: int, end: int) -> Rollback:
    return Rollback(begin=begin, end=end, reason="generator_loss is not finite")


def test_stage_skips_the_data_that_led_to_a_divergence() -> None:
    positions = [resume_position(at, [rollback(100, 160)]) for at in (99, 100, 159, 160)]
    assert positions == [99, 160, 160, 160]


def test_second_divergence_from_the_same_checkpoint_skips_further() -> None:
    assert resume_position(100, [rollback(100, 160), rollback(100, 208)]) == 208


def test_skip_into_another_rollback_skips_that_too() -> None:
    assert resume_position(100, [rollback(160, 200), rollback(100, 160)]) == 200


def test_rollbacks_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "rollbacks.json"
    assert read_rollbacks(path) == []
    add_rollback(path, rollback(0, 16))
    add_rollback(path, rollback(16, 48))
    assert read_rollbacks(path) == [rollback(0, 16), rollback(16, 48)]


def test_damaged_file_of_rollbacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "rollbacks.json").write_bytes(b'[{"begin": 3}]')
    with pytest.raises(StageError, match=r"rollbacks\.json is damaged: 0\.end"):
        read_rollbacks(tmp_path / "rollbacks.json")
