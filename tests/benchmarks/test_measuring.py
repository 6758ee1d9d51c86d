"""Turns are taken, and ratios are of what stood side by side."""

from itertools import count

from measuring import interleaved, ratio


def test_actions_take_turns_after_one_unmeasured_round() -> None:
    done: list[str] = []
    actions = {name: lambda name=name: done.append(name) for name in "ab"}
    ticks = count()
    taken = interleaved(actions, seconds=0, now=lambda: float(next(ticks)), least=2)
    assert "".join(done) == "ab" * 3
    assert taken == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_a_disturbance_of_both_leaves_the_ratio() -> None:
    assert ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == 2.0
