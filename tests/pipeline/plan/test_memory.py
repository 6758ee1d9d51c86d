"""Estimates of memory are remembered, as long as nothing has changed that they depend on."""

from pathlib import Path

import pytest

from progan.pipeline.config.schema import load_config
from progan.pipeline.plan import memory
from progan.pipeline.plan.memory import estimate_memory
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run_folder import RunFolder
from progan.stages.memory import estimate as stages_memory
from progan.stages.specs.stage import StageSpec


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The resolutions that were estimated, in order; nothing is remembered yet."""
    found: list[int] = []

    def footprint(spec: StageSpec, ranks: int) -> dict[str, int]:
        found.append(spec.resolution)
        return {"weights": spec.resolution * ranks}

    monkeypatch.setattr(stages_memory, "footprint", footprint)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return found


def estimate(*words: str, run: str = "RUN", ranks: int = 1) -> list[dict[str, int]]:
    config = load_config("demo", ("growth.last=16", *words))
    *_, found = estimate_memory(stage_specs(config, RunFolder(Path(run)), ""), ranks)
    assert None not in found
    return [each for each in found if each]


def test_what_was_estimated_is_remembered(counted: list[int]) -> None:
    first = estimate()
    again = estimate("optimizer.lr=1", "seed=3", "data.path=elsewhere", run="OTHER")
    assert first == again == [{"weights": 4}, {"weights": 8}, {"weights": 16}]
    assert counted == [4, 8, 16]


def test_what_is_known_is_told_at_once_and_the_rest_as_it_comes(counted: list[int]) -> None:
    config = load_config("demo", ("growth.last=16",))
    specs = stage_specs(config, RunFolder(Path("RUN")), "")
    list(estimate_memory(specs[1:2], 1))
    told = list(estimate_memory(specs, 1))
    assert [[each is not None for each in found] for found in told] == [
        [False, True, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize("word", [
    "batch=32", "micro_batch=8", "model.fmap_max=32", "engine.zero=0", "engine.precision=bf16",
    "objective.critic_steps=2", "growth.fade_kimg=0", "growth.mode=stacked",
    "optimizer.kind=rmsprop",
])  # fmt: skip
def test_what_it_depends_on_is_not_mistaken(word: str, counted: list[int]) -> None:
    estimate()
    estimate(word)
    assert counted[3:] == ([8, 16] if "growth" in word else [4, 8, 16])


def test_another_number_of_ranks_is_another_estimate(counted: list[int]) -> None:
    assert estimate() != estimate(ranks=2)


def test_other_code_estimates_anew(counted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    estimate()
    monkeypatch.setattr(memory, "_code_hash", lambda: "changed")
    estimate()
    assert counted == [4, 8, 16] * 2


def test_a_damaged_file_is_estimated_anew(counted: list[int], tmp_path: Path) -> None:
    estimate()
    for file in tmp_path.rglob("*.json"):
        file.write_text("{")
    assert estimate() == [{"weights": 4}, {"weights": 8}, {"weights": 16}]


def test_where_nothing_can_be_kept_it_is_estimated_all_the_same(
    counted: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert estimate() == estimate()
    assert counted == [4, 8, 16] * 2
