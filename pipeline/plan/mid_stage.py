"""Which changes a stage can go on with from a checkpoint, and which it cannot; no torch."""

from collections.abc import Iterator
from dataclasses import dataclass

from progan.stages.specs.penalties import has_encoder
from progan.stages.specs.stage import StageSpec


@dataclass(frozen=True)
class Begun:
    """A stage that has begun."""

    spec: StageSpec
    """What it was started with last"""
    images_seen: int = 0
    """Where it would go on: its newest checkpoint's; of a finished stage all that it has seen"""
    finished: bool = False

    @property
    def resolution(self) -> int:
        """The stage's."""
        return self.spec.resolution

    def ends_later(self, new: StageSpec) -> bool:
        """Whether it is finished, and a longer one is wanted."""
        return self.finished and new.growth.total_images > max(
            self.images_seen, self.spec.growth.total_images
        )


def impossible(stage: Begun, new: StageSpec) -> str | None:
    """Why a stage cannot go on as `new` from where it is, the key first; None if it can."""
    return next(_impossible(stage, stage.spec, new), None)


def _impossible(stage: Begun, old: StageSpec, new: StageSpec) -> Iterator[str]:
    seen, kimg = stage.images_seen, f"{stage.images_seen / 1000:g} kimg"
    if new.growth.total_images <= seen and new.growth != old.growth:
        yield f"growth.steady_kimg: {new.growth.total_images / 1000:g} kimg are too few: {kimg} " \
              "have been shown"  # fmt: skip
    if old.growth.mode != new.growth.mode:
        yield "growth.mode: other layers would be trained"
    fades = old.growth.fade_images, new.growth.fade_images
    if fades[0] != fades[1] and min(fades) < seen:
        yield f"growth.fade_kimg: {kimg} have been shown, more than one of the two fades"
    if (old.optimizer.kind, old.optimizer.moments) != (new.optimizer.kind, new.optimizer.moments):
        yield "optimizer: it would need moments that the checkpoint does not have"
    if has_encoder(old.objective.penalties) != has_encoder(new.objective.penalties):
        yield "objective.penalties: an encoder would have to be trained from the stage's start"
    if _normalised(old) != _normalised(new):
        yield "objective.penalties: spectral_norm changes what all weights mean"
    if _buffer(old) != _buffer(new):
        yield "objective.replay: the checkpoint has no past fakes for that size and batch"


def _normalised(spec: StageSpec) -> list[object]:
    return [each for each in spec.objective.penalties if each.kind == "spectral_norm"]


def _buffer(spec: StageSpec) -> tuple[int, int] | None:
    """The shape of the replay buffer."""
    replay = spec.objective.replay
    return (replay.depth(spec.batch), spec.batch) if replay else None
