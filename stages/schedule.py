"""The schedule of one stage: pure functions of the images it has seen.

Nothing here keeps state, so a checkpoint needs only the count. There are three modes of growth:

fade: the new resolution is blended with the previous one, alpha rising from 0 to 1. Source: PGGAN,
appendix A.1, and `TrainingSchedule` of the official code.

stacked: first separate, then joint training, after SGAN (Huang et al. 2017, arXiv 1612.04357,
section 3), where each generator of a stack is trained with its own discriminator, and then all
together. Alpha is 1 from the first step. In the separate phase the generator's previous layers are
frozen; in the joint phase all layers are trained. The whole discriminator is trained in both: in
SGAN each level has its own, and here its previous layers get features of the new layers.
StyleGAN-XL (Sauer et al. 2022, arXiv 2202.00273) grows in the same way: a new head on a frozen
generator. SGAN's encoder, with its conditional and entropy losses, is not part of this: the output
of the previous layers takes the place of its features.

none: all layers are trained, alpha is 1 from the first step.
"""

from typing import Any, Literal

from progan.stages.specs.stage import GrowthMode, GrowthSpec, TickSpec

Phase = Literal["fading", "separate", "steady", "joint", "done"]
PHASES: dict[GrowthMode, tuple[Phase, Phase]] = {
    "fade": ("fading", "steady"),
    "stacked": ("separate", "joint"),
    "none": ("steady", "steady"),
}
"""By mode: the phase of `fade_images`, then that of `steady_images`"""


def alpha(images_seen: int, growth: GrowthSpec) -> float:
    """Weight of the new resolution; in a fade it rises linearly from 0 to 1."""
    if growth.mode != "fade" or images_seen >= growth.fade_images:
        return 1.0
    return images_seen / growth.fade_images


def phase(images_seen: int, growth: GrowthSpec) -> Phase:
    """The phase of a stage at this count of images."""
    if images_seen >= growth.total_images:
        return "done"
    first, second = PHASES[growth.mode]
    return first if images_seen < growth.fade_images else second


def progress(images_seen: int, growth: GrowthSpec) -> dict[str, Any]:
    """images_seen, phase and alpha, as in metrics.jsonl and progress.json."""
    return {
        "images_seen": images_seen,
        "phase": phase(images_seen, growth),
        "alpha": alpha(images_seen, growth),
    }


def becomes_steady(images_seen: int, step_images: int, growth: GrowthSpec) -> bool:
    """Whether the step that begins here is the first after a fade or a separate phase."""
    return 0 <= images_seen - step_images < growth.fade_images <= images_seen


def ends_tick(images_seen: int, step_images: int, growth: GrowthSpec, tick: TickSpec) -> bool:
    """Whether the step that ended here ends a tick; the stage's last step always does."""
    return crosses(images_seen, step_images, tick.images) or images_seen >= growth.total_images


def crosses(images_seen: int, step_images: int, period: float) -> bool:
    """Whether the step that ended here passed a multiple of `period` images."""
    return images_seen // period > (images_seen - step_images) // period
