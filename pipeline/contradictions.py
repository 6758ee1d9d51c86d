"""Choices that do not go together, found before anything starts; no torch."""

from progan.stages.spec import StageSpec
from progan.stages.spec_penalties import SpectralNorm, WeightClip


def contradiction(spec: StageSpec) -> str | None:
    """Why a stage cannot be what its configuration asks for; None if it can."""
    for check in (_two_constraints, _consensus_recomputed):
        if problem := check(spec):
            return problem
    return None


def _two_constraints(spec: StageSpec) -> str | None:
    penalties = spec.objective.penalties
    clipped = any(isinstance(each, WeightClip) for each in penalties)
    normalised = {name for p in penalties if isinstance(p, SpectralNorm) for name in p.networks}
    if clipped and "discriminator" in normalised:
        return (
            "objective.penalties: weight_clip and spectral_norm both bound the discriminator's "
            "weights, and divided by their largest singular value clipped ones are what they were; "
            "take one of them"
        )
    return None


def _consensus_recomputed(spec: StageSpec) -> str | None:
    kinds = {each.kind for each in spec.objective.penalties}
    if "consensus" in kinds and spec.engine.activation_checkpointing is not None:
        return (
            "objective.penalties: consensus works on copies of one network's weights, of which "
            "recomputed blocks know nothing; leave out engine.activation_checkpointing"
        )
    return None
