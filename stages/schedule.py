"""The schedule of one stage: pure functions of the images it has seen.

Nothing here keeps state, so a checkpoint needs only the count. A new resolution comes in by one of
three modes:

fade: blended with the one before, alpha rising from 0 to 1. Source: PGGAN, appendix A.1, and
`TrainingSchedule` of the official code.

stacked: first separate, then joint training, after SGAN (Huang et al. 2017, arXiv 1612.04357,
section 3), whose generators of a stack are each trained with a discriminator of their own, and then
all together. Alpha is 1 from the first step. In the separate phase the generator's older layers
stay as they came; in the joint phase everything is trained. The discriminator is trained whole in
both: a level's discriminator is its own in SGAN, and its older layers have to judge features that
only the new ones make now. StyleGAN-XL (Sauer et al. 2022, arXiv 2202.00273) grows in the same way,
a new head on a generator that is kept. SGAN's encoder, with its conditional and entropy losses, is
not part of this: what the older layers generate takes the place of its features.

none: everything at once, alpha 1 from the first step.
"""

from typing import Literal

from progan.stages.specs.stage import GrowthMode, GrowthSpec, TickSpec

Phase = Literal["fading", "separate", "steady", "joint", "done"]
PHASES: dict[GrowthMode, tuple[Phase, Phase]] = {
    "fade": ("fading", "steady"),
    "stacked": ("separate", "joint"),
    "none": ("steady", "steady"),
}
"""What a stage does for its `fade_images`, and then for its `steady_images`"""


def alpha(images_seen: int, growth: GrowthSpec) -> float:
    """Share of the new resolution; in a fade it rises linearly from 0 to 1."""
    if growth.mode != "fade" or images_seen >= growth.fade_images:
        return 1.0
    return images_seen / growth.fade_images


def phase(images_seen: int, growth: GrowthSpec) -> Phase:
    """Where a stage stands that has seen so many images."""
    if images_seen >= growth.total_images:
        return "done"
    first, second = PHASES[growth.mode]
    return first if images_seen < growth.fade_images else second


def becomes_steady(images_seen: int, step_images: int, growth: GrowthSpec) -> bool:
    """Whether the step that begins here is the first one after a fade or a separate phase."""
    return 0 <= images_seen - step_images < growth.fade_images <= images_seen


def ends_tick(images_seen: int, step_images: int, growth: GrowthSpec, tick: TickSpec) -> bool:
    """Whether the step that ended here finished a tick; the stage's last step always does."""
    return crosses(images_seen, step_images, tick.images) or images_seen >= growth.total_images


def crosses(images_seen: int, step_images: int, period: float) -> bool:
    """Whether the step that ended here passed a multiple of so many images."""
    return images_seen // period > (images_seen - step_images) // period
