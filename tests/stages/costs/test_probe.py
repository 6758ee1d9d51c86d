"""Real steps of stages on random pictures, timed in another process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from progan.stages.costs.probe import Kind, RandomBatches, kinds, measure, share_of_due_steps
from progan.stages.distributed.world import World
from progan.stages.specs.objective import ObjectiveSpec
from progan.stages.specs.stage import GrowthMode, GrowthSpec, StageSpec
from workers import BIN, spec


def with_penalties(*penalties: dict[str, Any], critic_steps: int = 1) -> ObjectiveSpec:
    fields = {"loss": "nonsaturating", "penalties": penalties, "critic_steps": critic_steps}
    return ObjectiveSpec.model_validate(fields)


LAZY = {"kind": "r1", "weight": 10, "interval": 16}


@pytest.mark.parametrize(
    ("objective", "share"),
    [
        (ObjectiveSpec(), 1),
        (with_penalties(), 1),
        (with_penalties(LAZY), 1 / 16),
        (with_penalties(LAZY, critic_steps=4), 4 / 16),
        (with_penalties(LAZY | {"interval": 2}, critic_steps=4), 1),
    ],
)
def test_share_of_steps_with_a_lazy_penalty(
    objective: ObjectiveSpec, share: float, shapes: Path
) -> None:
    assert share_of_due_steps(spec(shapes, objective=objective)) == share


@pytest.mark.parametrize(
    ("mode", "objective", "expected"),
    [
        ("fade", ObjectiveSpec(), [Kind(1.0, 150, 0)]),
        ("stacked", ObjectiveSpec(), [Kind(0.75, 0, 0), Kind(0.25, 400, 0)]),
        ("fade", with_penalties(LAZY), [Kind(1 / 16, 150, 0), Kind(15 / 16, 150, 1)]),
    ],
)
def test_kinds_of_steps(
    mode: GrowthMode, objective: ObjectiveSpec, expected: list[Kind], shapes: Path
) -> None:
    growth = GrowthSpec(mode=mode, fade_images=300, steady_images=100)
    assert kinds(spec(shapes, growth=growth, objective=objective)) == expected


def test_random_pictures_are_as_the_loader_gives_them(shapes: Path) -> None:
    reals = next(RandomBatches(spec(shapes), torch.device("cpu")))
    assert reals.pixels.shape == (16, 3, 8, 8) and reals.labels.shape == (16,)
    images = reals.images()
    assert -1 <= images.min() < -0.9 and 0.9 < images.max() <= 1


@pytest.mark.slow
def test_short_steps_are_timed_at_the_whole_batch(shapes: Path, world: World) -> None:
    faded = spec(
        shapes, grown_from=Path("nowhere"), growth=GrowthSpec(fade_images=64, steady_images=64)
    )
    found = measure(faded, [4, 8, 16], world)
    ((batch, seconds),) = found["timings"]
    assert batch == 16 and found["steps"] >= 2 and 0 < seconds < 4


def test_long_steps_are_timed_at_a_smaller_batch(
    shapes: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("progan.stages.costs.probe.STEP_SECONDS", 0.0)
    monkeypatch.setattr("progan.stages.costs.probe.TIMED_SECONDS", 0.0)
    found = measure(spec(shapes, objective=with_penalties(LAZY)), [4, 8, 16], world)
    ((batch, _),) = found["timings"]
    assert (batch, found["steps"]) == (4, 4), "two with the penalty and two without"


def requested(*stages: StageSpec) -> list[dict[str, Any]]:
    """The program's answers."""
    requests = [
        {"spec": stage.model_dump(mode="json"), "batches": [4, 16], "limit": 100}
        for stage in stages
    ]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    argv = [sys.executable, "-m", "progan.stages.costs.probe"]
    result = subprocess.run(argv, input=lines, capture_output=True, text=True, timeout=200)
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.slow
def test_program_answers_until_a_stage_fails(shapes: Path) -> None:
    good = spec(shapes)
    bad = good.model_copy(update={"resolution": 7})
    answers = requested(good, good, bad, good)
    assert [set(answer) for answer in answers] == [{"timings", "steps"}] * 2 + [{"error"}]


@pytest.mark.slow
def test_plan_measures_and_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def plan(*words: str) -> dict[str, Any]:
        argv = [str(BIN / "progan"), "plan", "demo", "growth.last=8", "--json", *words]
        result = subprocess.run(argv, cwd=tmp_path, capture_output=True, check=True, timeout=200)
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    assert plan()["hours"] is None
    measured = plan("--time")
    assert measured["hours"] == sum(stage["hours"] for stage in measured["stages"]) > 0
    first, second = measured["stages"]
    assert min(first["images_per_second"], second["images_per_second"]) > 0
    assert first["timed_steps"] >= 2 and first["timed_images"] == 8
    assert plan() == measured
