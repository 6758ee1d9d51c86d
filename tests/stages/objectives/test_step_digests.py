"""The bit-by-bit comparison of two versions of the core notices a change of one in a million."""

from pathlib import Path

import pytest
from torch import Tensor

from progan.stages.distributed.world import World
from progan.stages.objectives.discriminator_penalties import GradientPenalty
from progan.stages.objectives.passes import DiscriminatorPass
from step_digests import differences, three_steps


def test_digests_repeat_and_notice_a_factor_of_1_000001(
    shapes: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digests(folder: str) -> dict[str, object]:
        return {
            case: three_steps(case, shapes, world, tmp_path / folder / case)
            for case in ("gradient", "r1")
        }

    before = digests("before")
    assert differences(before, digests("again")) == []
    exact = GradientPenalty.of_discriminator

    def scaled(self: GradientPenalty, p: DiscriminatorPass) -> Tensor:
        return 1.000001 * exact(self, p)

    monkeypatch.setattr(GradientPenalty, "of_discriminator", scaled)
    assert differences(before, digests("changed")) == ["gradient"]
