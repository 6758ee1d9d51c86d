"""Update rules that a stage cannot be trained with; no torch."""

from progan.stages.spec import StageSpec


def unworkable(spec: StageSpec, ranks: int) -> str | None:
    """Why a stage cannot follow its `objective.unrolled` or `replay`; None if it can."""
    resolution, replay = spec.resolution, spec.objective.replay
    if replay and replay.size < spec.batch:
        return (
            f"objective.replay.size: {replay.size} is less than a batch of stage {resolution}; "
            f"use at least {spec.batch} (batch.{resolution})"
        )
    if not spec.objective.unrolled:
        return None
    share, part = spec.batch // ranks, spec.part(ranks)
    if part < share:
        return (
            f"objective.unrolled: the steps ahead need a rank's {share} images at once, and "
            f"micro_batch.{resolution} takes {part}; leave one of the two out"
        )
    lowest = spec.engine.activation_checkpointing
    if lowest and lowest <= resolution:
        return (
            "objective.unrolled: what engine.activation_checkpointing computes again would not "
            f"have the weights of the steps ahead (at {resolution}); leave one of the two out"
        )
    return None
