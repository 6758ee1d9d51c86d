"""Dynamic loss scaling: down at an overflow, up after long quiet, exact after a restart."""

from progan.stages.engine.loss_scale import STEPS_TO_DOUBLE, LossScale


def test_an_overflow_halves_the_scale() -> None:
    scale = LossScale()
    before = scale.factor
    scale.update(overflow=True)
    assert scale.factor == before / 2


def test_the_scale_doubles_after_many_steps_without() -> None:
    scale = LossScale()
    scale.update(overflow=True)
    lowered = scale.factor
    for _ in range(STEPS_TO_DOUBLE - 1):
        scale.update(overflow=False)
    assert scale.factor == lowered
    scale.update(overflow=False)
    assert scale.factor == 2 * lowered


def test_it_never_falls_below_one() -> None:
    scale = LossScale()
    while scale.can_shrink:
        scale.update(overflow=True)
    scale.update(overflow=True)
    assert scale.factor == 1.0


def test_it_goes_on_from_a_checkpoint() -> None:
    scale, other = LossScale(), LossScale()
    for step in range(STEPS_TO_DOUBLE - 10):
        scale.update(overflow=step % 500 == 7)
    other.load(scale.state())
    for _ in range(STEPS_TO_DOUBLE):
        scale.update(overflow=False)
        other.update(overflow=False)
        assert other.factor == scale.factor
