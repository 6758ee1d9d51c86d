"""Choices that do not go together, refused by name before anything starts; no torch."""

from collections.abc import Callable

from progan.datasets.format.manifest import Manifest
from progan.pipeline.config.schema import RunConfig
from progan.stages.networks.widths import finest
from progan.stages.specs.model import FIRST_RESOLUTION
from progan.stages.specs.penalties import SpectralNorm, WeightClip
from progan.stages.specs.stage import StageSpec

CONDITIONAL = ("acgan", "projection")
"""Heads that look at a picture's class"""


def untaught_classes(spec: StageSpec) -> str | None:
    """Classes need a head that looks at them."""
    head = spec.model.discriminator.head.kind
    if spec.model.classes and head not in CONDITIONAL:
        return (
            f"model.classes: a discriminator with head {head} never sees the classes, so that the "
            f"generator would not learn them; set model.discriminator.head=projection or acgan"
        )
    return None


def head_without_classes(spec: StageSpec) -> str | None:
    """And such a head needs classes."""
    head = spec.model.discriminator.head.kind
    if head in CONDITIONAL and not spec.model.classes:
        return (
            f"model.discriminator.head: {head} needs labelled pictures; set model.classes to the "
            "number of the data set's classes (progan data info DATASET)"
        )
    return None


def codes_without_reader(spec: StageSpec) -> str | None:
    """Codes need a head that reads them, and that head needs codes."""
    head, codes = spec.model.discriminator.head.kind, spec.model.generator.codes.count
    if codes and head != "infogan":
        return (
            f"model.generator.codes: a discriminator with head {head} never reads the codes, so "
            "that they would come to mean nothing; set model.discriminator.head=infogan"
        )
    if head == "infogan" and not codes:
        return (
            "model.discriminator.head: infogan has no codes to read; set for example "
            "model.generator.codes.categorical=[10] model.generator.codes.continuous=2"
        )
    return None


def codes_of_reals(spec: StageSpec) -> str | None:
    """Nobody knows from which codes a real picture could have been drawn."""
    kinds = {each.kind for each in spec.objective.penalties}
    if "mode_regularizer" in kinds and spec.model.generator.codes.count:
        return (
            "objective.penalties: mode_regularizer has the generator draw real pictures again, "
            "whose codes nobody knows; leave it out, or model.generator.codes"
        )
    return None


def two_constraints(spec: StageSpec) -> str | None:
    """One bound on the weights undoes another."""
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


def energies_without_reconstruction(spec: StageSpec) -> str | None:
    """EBGAN's and BEGAN's losses are of energies, which cannot be negative."""
    loss, head = spec.objective.loss.kind, spec.model.discriminator.head.kind
    if loss in ("ebgan", "began") and head != "autoencoder":
        return (
            f"objective.loss: {loss} is a game of energies, which a discriminator with head {head} "
            "does not have; set model.discriminator.head=autoencoder"
        )
    return None


def past_fakes_of_classes(spec: StageSpec) -> str | None:
    """Past fakes are kept without what they were told."""
    if spec.objective.replay and spec.model.inputs != spec.model.latent:
        return (
            "objective.replay: past fakes do not keep the classes or codes they were drawn from; "
            "leave out replay, or model.classes and model.generator.codes"
        )
    return None


def steps_ahead_of_the_loss(spec: StageSpec) -> str | None:
    """Unrolled steps go down the loss and its gradient penalties, with the weights as they come."""
    beside = {"weight_clip", "spectral_norm", "orthogonal", "historical_average", "consensus"}
    found = sorted(beside & {each.kind for each in spec.objective.penalties})
    if spec.objective.unrolled and found:
        return (
            f"objective.unrolled: the steps ahead know nothing of {found[0]}, which looks at the "
            "discriminator's weights; leave out one of them"
        )
    return None


def slopes_of_a_batch(spec: StageSpec) -> str | None:
    """Gradient penalties are of a critic that judges samples one by one."""
    slopes = {"gradient", "dragan", "r1", "r2", "js_regularizer"}
    found = sorted(slopes & {each.kind for each in spec.objective.penalties})
    if spec.model.discriminator.norm == "batch" and found:
        return (
            f"model.discriminator.norm: with batch the slope at one picture is that of its whole "
            f"group, which {found[0]} is not meant for; use layer, or leave out the penalty"
        )
    return None


def consensus_of_several(spec: StageSpec) -> str | None:
    """The joint field is that of two networks."""
    kinds = {each.kind for each in spec.objective.penalties}
    if "consensus" in kinds and spec.model.discriminator.critics > 1:
        return (
            "objective.penalties: consensus is between two networks; leave it out, or set "
            "model.discriminator.critics=1"
        )
    return None


def consensus_recomputed(spec: StageSpec) -> str | None:
    """Recomputed blocks know nothing of other weights."""
    kinds = {each.kind for each in spec.objective.penalties}
    if "consensus" in kinds and spec.engine.activation_checkpointing is not None:
        return (
            "objective.penalties: consensus works on copies of one network's weights, of which "
            "recomputed blocks know nothing; leave out engine.activation_checkpointing"
        )
    return None


def consensus_of_a_part(spec: StageSpec) -> str | None:
    """The joint field is that of all weights."""
    kinds = {each.kind for each in spec.objective.penalties}
    if spec.growth.mode == "stacked" and "consensus" in kinds:
        return (
            "growth.mode: stacked keeps some weights as they are, and consensus is between all "
            "weights of both networks; leave out one of them"
        )
    return None


def moments_of_the_kept(spec: StageSpec) -> str | None:
    """Moments that begin in mid-stage must not be corrected by a step count that has run on."""
    if spec.growth.mode == "stacked" and not spec.optimizer.reset_on_growth:
        return (
            "growth.mode: stacked begins to train the generator's older layers in mid-stage, and "
            "with the moments of the others kept their first steps would be far too large; set "
            "optimizer.reset_on_growth=true"
        )
    return None


def compiled_twice_differentiated(spec: StageSpec) -> str | None:
    """What is compiled can be differentiated once."""
    consensus = any(each.kind == "consensus" for each in spec.objective.penalties)
    found = "objective.unrolled" if spec.objective.unrolled else "consensus" if consensus else None
    if spec.compile != "off" and found:
        return (
            f"engine.compile: {found} differentiates whole passes twice, which compiled code "
            "cannot be; set engine.compile=off"
        )
    return None


def not_of_dcgan(spec: StageSpec) -> str | None:
    """What belongs to networks that grow, as PGGAN's do."""
    model, top = spec.model, finest(spec.model, spec.resolution)
    if model.arch != "dcgan":
        return None
    if spec.grown_from or top < FIRST_RESOLUTION:
        return (
            "model.arch: dcgan does not grow; set growth.first and growth.last to one resolution, "
            "8 or more"
        )
    if model.variant != "paper":
        return f"model.variant: {model.variant} is of progressive networks; leave it out with dcgan"
    if model.generator.norm == "pixel":
        return (
            "model.generator.norm: pixel, the default, is of progressive networks; with dcgan set "
            "model.generator.norm=batch (the paper's), virtual_batch or none"
        )
    if model.discriminator.head.kind == "autoencoder":
        return (
            "model.discriminator.head: an autoencoder's decoder is a generator that grows; with "
            "dcgan take another head, or model.arch=progressive"
        )
    if max(model.generator.attention + model.discriminator.attention, default=0) > top:
        return (
            f"model.generator.attention, model.discriminator.attention: dcgan's largest feature "
            f"maps for pictures of {spec.resolution} are {top}x{top}; name {top} or less"
        )
    return None


RULES: tuple[Callable[[StageSpec], str | None], ...] = (
    untaught_classes,
    head_without_classes,
    codes_without_reader,
    codes_of_reals,
    two_constraints,
    energies_without_reconstruction,
    past_fakes_of_classes,
    steps_ahead_of_the_loss,
    slopes_of_a_batch,
    consensus_of_several,
    consensus_recomputed,
    consensus_of_a_part,
    moments_of_the_kept,
    compiled_twice_differentiated,
    not_of_dcgan,
)


def contradiction(spec: StageSpec) -> str | None:
    """Why a stage cannot be what its configuration asks for, and what to do; None if it can."""
    return next((problem for rule in RULES if (problem := rule(spec))), None)


def nothing_to_stack(config: RunConfig) -> str | None:
    """Why a run's stages have nothing to train separately; None if they have, or need not."""
    growth, grown = config.growth, config.resolutions[1:]
    if growth.mode != "stacked":
        return None
    if not grown:
        return (
            f"growth.mode: stacked, but growth.first and growth.last are both {growth.last}, so "
            "that no layers are added that could be trained separately; leave it out"
        )
    if lacking := [each for each in grown if not growth.fade_kimg.at(each)]:
        return (
            f"growth.fade_kimg: stage {lacking[0]} is to be trained separately for 0 kimg; set "
            "more, or growth.mode=none"
        )
    return None


def without_labels(config: RunConfig, manifest: Manifest) -> str | None:
    """Why a data set lacks the labels that a configuration needs; None if it has them."""
    wanted, have = config.model.classes, manifest.classes or []
    if not wanted:
        return None
    if len(have) != wanted:
        return f"model.classes: {wanted}, but the data set {config.data.path} has {len(have)}"
    if unlabelled := manifest.num_samples - sum(manifest.class_counts or []):
        return (
            f"model.classes: {unlabelled:,} pictures of {config.data.path} have no label; prepare "
            "it from labelled ones alone"
        )
    return None


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
