"""The schedule of one stage: pure functions of the images it has seen.

Nothing here keeps state, so a checkpoint needs only the count. Source: PGGAN, appendix A.1, and
`TrainingSchedule` of the official code.
"""

from typing import Literal

from progan.stages.spec import GrowthSpec, TickSpec

Phase = Literal["fading", "steady", "done"]


def alpha(images_seen: int, growth: GrowthSpec) -> float:
    """Share of the new resolution, rising linearly from 0 to 1 over the fade."""
    if images_seen >= growth.fade_images:
        return 1.0
    return images_seen / growth.fade_images


def phase(images_seen: int, growth: GrowthSpec) -> Phase:
    """Where a stage stands that has seen so many images."""
    if images_seen >= growth.total_images:
        return "done"
    return "fading" if images_seen < growth.fade_images else "steady"


def becomes_steady(images_seen: int, step_images: int, growth: GrowthSpec) -> bool:
    """Whether the step that begins here is the first one at alpha 1 after a fade."""
    return 0 <= images_seen - step_images < growth.fade_images <= images_seen


def ends_tick(images_seen: int, step_images: int, growth: GrowthSpec, tick: TickSpec) -> bool:
    """Whether the step that ended here finished a tick; the stage's last step always does."""
    return crosses(images_seen, step_images, tick.images) or images_seen >= growth.total_images


def crosses(images_seen: int, step_images: int, period: float) -> bool:
    """Whether the step that ended here passed a multiple of so many images."""
    return images_seen // period > (images_seen - step_images) // period
