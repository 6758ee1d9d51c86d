"""What is gone back from is never used again."""

from pathlib import Path

from progan.stages.storage.rollback import Rollback, add_rollback, past, read_rollbacks


def back(begin: int, end: int) -> Rollback:
    return Rollback(begin=begin, end=end, reason="generator_loss is not finite")


def test_a_stage_jumps_over_what_led_to_a_divergence() -> None:
    assert [past(at, [back(100, 160)]) for at in (99, 100, 159, 160)] == [99, 160, 160, 160]


def test_a_second_divergence_from_the_same_checkpoint_jumps_further() -> None:
    assert past(100, [back(100, 160), back(100, 208)]) == 208


def test_a_jump_into_another_window_goes_on() -> None:
    assert past(100, [back(160, 200), back(100, 160)]) == 200


def test_rollbacks_come_back_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "rollbacks.json"
    assert read_rollbacks(path) == []
    add_rollback(path, back(0, 16))
    add_rollback(path, back(16, 48))
    assert read_rollbacks(path) == [back(0, 16), back(16, 48)]
