"""Which configuration changes a resumed run accepts, and which need a new run; no torch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from progan.datasets.files import some_of
from progan.pipeline.config.schema import RunConfig
from progan.pipeline.config.yaml_io import flatten
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.differences import Difference, differences
from progan.pipeline.plan.mid_stage import Begun, impossible
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run_folder import RunFolder

NEVER = ("seed", "model.", "growth.first", "metrics.holdout")
"""Keys that every stage depends on."""
LENGTH = "growth.steady_kimg"
MOST_SHOWN = 2
"""Differences shown with their values, after the first"""
ANOTHER_RUN = "start another run for that (--run)"
FROM_HERE = (
    "to train on with it from here: progan resume RUN KEY=VALUE --change; or start another run "
    "(--run)"
)

Recorded = Mapping[int, Mapping[str, Any]]
"""By stage and key: values that were accepted after the stage had begun with others"""


class Changes(NamedTuple):
    """What is accepted."""

    words: list[str]
    """The keys whose values differ, as `key=new value`"""
    in_stages: dict[int, list[Difference]]
    """By stage that has begun: what it will go on with, or for a finished one, what it was not
    trained with"""


def accept_changes(
    old: RunConfig,
    new: RunConfig,
    begun: Sequence[Begun],
    *,
    recorded: Recorded | None = None,
    change: bool = False,
) -> Changes:
    """What changes from the old configuration, and from what the begun stages were started with.

    begun: ascending. Raises ConfigError naming the keys that would change what a run, or one of its
    stages, computes, unless the change was recorded before; with `change`, only the keys that a
    stage in progress cannot change. Edits of the run's own config.yaml are noticed, too.
    """
    before, after = _flat(old), _flat(new)
    changed = [key for key in after | before if before.get(key) != after.get(key)]
    for key in changed:
        if key.startswith(NEVER):
            values = f"{before.get(key)}, not {after.get(key)}"
            raise ConfigError(f"{key}: the run was started with {values}; {ANOTHER_RUN}")
    in_stages = {}
    for stage in begun:
        if stage.resolution > new.growth.last:
            raise ConfigError(
                f"growth.last: stage {stage.resolution} has begun, and {new.growth.last} leaves it "
                "out"
            )
        accepted = (recorded or {}).get(stage.resolution, {})
        found = _in_stage(stage, new, accepted, begun[-1], change=change)
        if found:
            in_stages[stage.resolution] = found
    return Changes(list(_words(changed, _flat(new.masked()))), in_stages)


def _words(changed: Sequence[str], shown: Mapping[str, str]) -> Iterator[str]:
    """`key=new value` of each key; a key that has become a map, or part of one, is left out."""
    for key in changed:
        if key in shown:
            yield f"{key}={shown[key]}"
        elif not any(f"{each}.".startswith(f"{key}.") or f"{key}.".startswith(f"{each}.")
                     for each in shown):  # fmt: skip
            yield f"{key} is removed"


def require_possible(stage: Begun, new: RunConfig) -> None:
    """ConfigError if a stage that is re-opened cannot go on from its checkpoint as configured."""
    would_be = stage_spec(new, RunFolder(Path()), "", stage.resolution)
    if stage.images_seen and (problem := impossible(stage, would_be)):
        raise _cannot(stage, problem, differences(stage.spec, would_be))


def _in_stage(
    stage: Begun, new: RunConfig, accepted: Mapping[str, Any], last: Begun, *, change: bool
) -> list[Difference]:
    """What would differ in a begun stage, and is to be recorded; ConfigError if it may not."""
    would_be = stage_spec(new, RunFolder(Path()), "", stage.resolution)
    found = [
        each
        for each in differences(stage.spec, would_be)
        if each.key not in accepted or accepted[each.key] != each.new
    ]
    since = f"stage {stage.resolution} has begun"
    if any(each.key.startswith(NEVER) for each in found):
        raise _refusal(since, found, ANOTHER_RUN)
    goes_on = stage is last and (not stage.finished or stage.ends_later(would_be))
    if found and goes_on and (problem := impossible(stage, would_be)):
        raise _cannot(stage, problem, found)
    decided = [each for each in found if not (goes_on and each.key == LENGTH)]
    if decided and not change:
        grown = {each.key for each in decided} == {LENGTH} and stage is not last
        raise _refusal(since, decided, _longer(stage, last) if grown else FROM_HERE)
    return found


def _longer(stage: Begun, last: Begun) -> str:
    """What to do about the length of a stage from which another has grown."""
    return (
        f"stage {last.resolution} has begun since; to change the length of that one, name it "
        f"({LENGTH}.{last.resolution}=KIMG), or train stage {stage.resolution} again "
        f"(--stage {stage.resolution})"
    )


def _flat(config: RunConfig) -> dict[str, str]:
    return flatten(config.model_dump(mode="json"))


def _cannot(stage: Begun, problem: str, found: Sequence[Difference]) -> ConfigError:
    """The error of a change that no checkpoint allows."""
    key, _, reason = problem.partition(": ")
    values = next((f" with {each.values}" for each in found if each.key == key), "")
    return ConfigError(
        f"{key}: stage {stage.resolution} has begun{values}, and {reason}; {ANOTHER_RUN}"
    )


def _refusal(since: str, different: Sequence[Difference], remedy: str) -> ConfigError:
    """The error of keys that differ: the first with their old and new values, the others' names."""
    first, *others = different
    also = [f"{each.key}: {each.values}" for each in others[:MOST_SHOWN]]
    if more := [each.key for each in others[MOST_SHOWN:]]:
        also.append(f"{len(more)} more ({some_of(more)})")
    text = f"; {'; '.join(also)}" if also else ""
    return ConfigError(f"{first.key}: {since} with {first.values}{text}; {remedy}")
