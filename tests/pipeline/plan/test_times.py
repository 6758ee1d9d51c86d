"""Times of stages: computed from a few steps, remembered by machine; a failure is one stage's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from progan.launch.spec import LaunchSpec
from progan.pipeline.config.schema import load_config
from progan.pipeline.plan import times
from progan.pipeline.plan.plan import stage_specs
from progan.pipeline.plan.times import (
    Hardware,
    Prober,
    about,
    longer_than_a_day,
    measure_times,
    remembered_times,
    whole_step,
)
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import StageSpec

LAUNCH = LaunchSpec()


def specs(*words: str) -> list[StageSpec]:
    return stage_specs(load_config("demo", words), RunFolder(Path("RUN")), "")


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[int, float]:
    """By resolution: seconds of every step of a machine that is all made up; absent ones fail."""
    found = {4: 0.5, 8: 1.0, 16: 2.0, 32: 4.0}

    def ask(prober: Prober, spec: StageSpec, batches: Sequence[int]) -> dict[str, Any]:
        if spec.resolution not in found:
            return {"error": "OutOfMemoryError: no"}
        return {"timings": [(batches[-1], found[spec.resolution])], "steps": 3}

    monkeypatch.setattr(Prober, "ask", ask)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return found


def test_rate_and_length_are_those_of_all_ranks(seconds: dict[int, float]) -> None:
    first, *_, last = specs()  # of 4,000 and 6,000 images, 16 a step
    found = list(measure_times([first, last], 2, LAUNCH))
    assert [time.images_per_second(s) for time, s in zip(found, (first, last), strict=True)] == [
        32, 4,
    ]  # fmt: skip
    assert found[0].seconds(first) == 250 * 0.5 and found[1].seconds(last) == 375 * 4
    assert {time.batch for time in found} == {8}, "a rank's share"


def test_times_are_remembered_by_stage_and_machine(seconds: dict[int, float]) -> None:
    here = Hardware.here(LAUNCH, 2)
    measured = list(measure_times(specs(), 2, LAUNCH))
    assert remembered_times(specs(), 2, here) == measured
    assert remembered_times(specs("seed=3", "growth.fade_kimg=8"), 2, here) == measured
    assert remembered_times(specs("model.latent=65"), 2, here) == [None] * 4
    for other in (Hardware("Other", 2, here.cpus, False), Hardware.here(LAUNCH, 1)):
        assert remembered_times(specs(), 2, other) == [None] * 4
    assert remembered_times(specs(), 4, here) == [None] * 4


def test_stage_that_fails_has_its_error_and_is_not_remembered(seconds: dict[int, float]) -> None:
    del seconds[8]
    found = list(measure_times(specs(), 2, LAUNCH))
    assert [time.step_seconds for time in found] == [0.5, None, 2, 4]
    assert found[1].error == "OutOfMemoryError: no" and found[1].seconds(specs()[1]) is None
    assert remembered_times(specs(), 2, Hardware.here(LAUNCH, 2))[1] is None


def test_long_steps_are_computed_from_the_stage_before(seconds: dict[int, float]) -> None:
    seconds.update({8: 100})  # 12 a picture, of which the smallest step at 16 has 4
    found = list(measure_times(specs(), 2, LAUNCH))
    assert [time.steps for time in found] == [3, 3, 0, 0]
    lengths = [time.step_seconds or 0 for time in found]
    assert lengths[1] == 100 < lengths[2] < lengths[3] < 600


def test_batches_to_choose_from_divide_the_share_into_whole_groups(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float]
) -> None:
    asked: list[Sequence[int]] = []

    def ask(prober: Prober, spec: StageSpec, batches: Sequence[int]) -> dict[str, Any]:
        asked.append(batches)
        return {"timings": [(batches[-1], 1.0)], "steps": 1}

    monkeypatch.setattr(Prober, "ask", ask)
    words = ("batch=48", "model.discriminator.minibatch=none"), ("batch=48", "micro_batch=12")
    for each in words:
        next(iter(measure_times(specs(*each), 2, LAUNCH)))
    assert asked == [[1, 2, 3, 4, 6, 8, 12, 24], [4, 8, 12, 24]]


@pytest.mark.parametrize(
    ("timings", "expected"),
    [
        ([(16, 2.0)], 2.0),
        ([(8, 2.0)], 4.0),
        ([(4, 1.0), (8, 1.5)], 2.5),  # half a second whatever the images
        ([(4, 0.1), (8, 1.5)], 3.0),  # a disturbed timing: never more than in proportion
        ([(4, 9.0), (8, 1.6)], 2.0),
    ],
)
def test_whole_step_is_on_the_line_through_two_batches(
    timings: list[tuple[int, float]], expected: float
) -> None:
    assert whole_step(16, timings) == pytest.approx(expected)


FULL = "because it took too much memory"
PROGRAM = """
import os, signal, sys
for line in sys.stdin:
    if '"resolution": 4,' in line:
        print('{"timings": [[8, 1.0]], "steps": 2}', flush=True)
        continue
    {end}
"""


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "killed, probably because it took too much memory",
        ),
        ("os.kill(os.getpid(), signal.SIGALRM)", "its steps did not end within 300 s"),
        ("sys.exit('no\\n driver\\n')", "its process ended with code 1:  driver"),
        ("""print('{"error": "E: full"}', flush=True)""", "E: full"),
    ],
)
def test_process_that_ends_is_started_again_for_the_next_stage(
    end: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_up.py").write_text(PROGRAM.replace("{end}", end))
    monkeypatch.setattr(times, "PROBE", "made_up")
    first, second, *_ = specs()
    with Prober({"PYTHONPATH": str(tmp_path)}) as prober:
        answers = [prober.ask(each, [8]) for each in (first, second, second, first)]
    assert [answer.get("error") for answer in answers] == [None, says, says, None]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (45, "45 s"), (59.7, "1 min"), (3570, "1 h 0 min"), (48_000, "13 h 20 min"),
        (86_399, "1 d 0 h"), (273_600, "3 d 4 h"), (1_036_800, "12 days"), (1e8, "1,157 days"),
    ],
)  # fmt: skip
def test_durations_are_rounded(seconds: float, text: str) -> None:
    assert about(seconds) == text


def test_only_days_on_a_cpu_are_warned_of() -> None:
    day = times.DAY_SECONDS
    assert longer_than_a_day(0.9 * day, on_gpus=False) is None
    assert longer_than_a_day(9 * day, on_gpus=True) is None
    assert longer_than_a_day(None, on_gpus=False) is None
    assert "about 9 d 0 h on this machine's CPUs" in str(longer_than_a_day(9 * day, on_gpus=False))


def test_damaged_cache_is_as_none(seconds: dict[int, float], tmp_path: Path) -> None:
    list(measure_times(specs(), 2, LAUNCH))
    for file, text in zip(sorted(tmp_path.rglob("*.json")), ("{", "[]", "{}", "null"), strict=True):
        file.write_text(text)
    assert remembered_times(specs(), 2, Hardware.here(LAUNCH, 2)) == [None] * 4
