"""Memory estimates are cached until something that they depend on changes."""

from pathlib import Path

import pytest

from progan.pipeline.config.schema import load_config
from progan.pipeline.plan import remembered
from progan.pipeline.plan.memory import estimate_memory
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.run_folder import RunFolder
from progan.stages.costs import estimate as stages_memory
from progan.stages.specs.stage import StageSpec


@pytest.fixture
def estimated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The resolutions that were estimated, in order; the cache is empty at first."""
    estimated: list[int] = []

    def footprint(spec: StageSpec, ranks: int) -> dict[str, int]:
        estimated.append(spec.resolution)
        return {"weights": spec.resolution * ranks}

    monkeypatch.setattr(stages_memory, "footprint", footprint)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return estimated


def estimate(*words: str, run: str = "RUN", ranks: int = 1) -> list[dict[str, int]]:
    config = load_config("demo", ("growth.last=16", *words))
    *_, found = estimate_memory(stage_specs(config, RunFolder(Path(run)), ""), ranks)
    assert None not in found
    return [each for each in found if each]


def test_estimates_are_cached(estimated: list[int]) -> None:
    first = estimate()
    again = estimate("optimizer.lr=1", "seed=3", "data.path=elsewhere", run="OTHER")
    assert first == again == [{"weights": 4}, {"weights": 8}, {"weights": 16}]
    assert estimated == [4, 8, 16]


def test_cached_estimates_come_first_and_the_others_one_by_one(estimated: list[int]) -> None:
    config = load_config("demo", ("growth.last=16",))
    specs = stage_specs(config, RunFolder(Path("RUN")), "")
    list(estimate_memory(specs[1:2], 1))
    documents = list(estimate_memory(specs, 1))
    assert [[each is not None for each in found] for found in documents] == [
        [False, True, False],
        [True, True, False],
        [True, True, True],
    ]


@pytest.mark.parametrize("word", [
    "batch=32", "micro_batch=8", "model.fmap_max=32", "engine.zero=0", "engine.precision=bf16",
    "objective.critic_steps=2", "growth.fade_kimg=0", "growth.mode=stacked",
    "optimizer.kind=rmsprop",
])  # fmt: skip
def test_change_of_a_dependency_is_estimated_again(word: str, estimated: list[int]) -> None:
    estimate()
    estimate(word)
    assert estimated[3:] == ([8, 16] if "growth" in word else [4, 8, 16])


def test_number_of_ranks_changes_the_estimate(estimated: list[int]) -> None:
    assert estimate() != estimate(ranks=2)


def test_changed_code_is_estimated_again(
    estimated: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate()
    monkeypatch.setattr(remembered, "_code_hash", lambda: "changed")
    estimate()
    assert estimated == [4, 8, 16] * 2


def test_damaged_cache_file_is_estimated_again(estimated: list[int], tmp_path: Path) -> None:
    estimate()
    for file in tmp_path.rglob("*.json"):
        file.write_text("{")
    assert estimate() == [{"weights": 4}, {"weights": 8}, {"weights": 16}]


def test_unwritable_cache_does_not_prevent_an_estimate(
    estimated: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert estimate() == estimate()
    assert estimated == [4, 8, 16] * 2
