"""Actions are timed in turn; ratios are those of the same round."""

from itertools import count

from measuring.timing import interleaved, ratio


def test_actions_alternate_after_one_unmeasured_round() -> None:
    calls: list[str] = []
    actions = {name: lambda name=name: calls.append(name) for name in "ab"}
    ticks = count()
    timings = interleaved(actions, seconds=0, now=lambda: float(next(ticks)), min_rounds=2)
    assert "".join(calls) == "ab" * 3
    assert timings == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_ratio_is_unchanged_by_disturbance_of_a_whole_round() -> None:
    assert ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == 2.0
