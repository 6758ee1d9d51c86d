"""Which configuration changes a resumed run accepts, and which need a new run; no torch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from progan.datasets.files import some_of
from progan.pipeline.config.schema import RunConfig
from progan.pipeline.config.yaml_io import flatten
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run_folder import RunFolder
from progan.stages.specs.stage import StageSpec

NEVER = ("seed", "model.", "growth.first")
"""Keys that every stage depends on."""
NOT_COMPUTED: dict[str, Any] = {
    "checkpoint": True,
    "tick": True,
    "metrics": True,
    "data": {"path", "cache_gb", "threads", "cache_folder"},
    "data_fingerprint": True,
    "grown_from": True,
    "init": {"path"},
    "engine": {"zero", "activation_checkpointing", "overlap_comm", "collective_timeout_minutes"},
}
"""Parts of a stage's spec that do not affect what it computes; the data set is identified by its
fingerprint, not by its path, and so are initial weights; the stage before is given by growth.first.
"""
MOST_SHOWN = 2
"""Differences shown with their values, after the first"""
CONFIG_KEYS = {
    "compile": "engine.compile",
    "lr": "optimizer.lr",
    "discriminator_lr": "optimizer.discriminator_lr",
    "growth.fade_images": "growth.fade_kimg",
    "growth.steady_images": "growth.steady_kimg",
}


def accept_changes(old: RunConfig, new: RunConfig, begun: Sequence[StageSpec]) -> list[str]:
    """The keys whose values differ, as `key=new value`.

    begun: what the stages that have begun were started with. Raises ConfigError naming the keys
    that would change what a run, or one of its stages, computes. So what was edited in the run's
    own config.yaml is noticed, too.
    """
    before, after = _flat(old), _flat(new)
    changed = [key for key in after | before if before.get(key) != after.get(key)]
    for key in changed:
        if key.startswith(NEVER):
            raise _refusal("the run was started", [(key, before.get(key), after.get(key))])
    for spec in begun:
        since = f"stage {spec.resolution} has begun"
        if spec.resolution > new.growth.last:
            raise ConfigError(f"growth.last: {since}, and {new.growth.last} leaves it out")
        would_be = stage_spec(new, RunFolder(Path()), "", spec.resolution)
        if different := list(_differences(_computed(spec), _computed(would_be))):
            raise _refusal(since, different)
    shown = _flat(new.masked())
    return [f"{key}={shown.get(key)}" for key in changed]


def _differences(
    was: dict[str, str], would_be: dict[str, str]
) -> Iterator[tuple[str, str | None, str | None]]:
    """Key, old and new value of each difference."""
    for key in was | would_be:
        if was.get(key) != would_be.get(key):
            yield CONFIG_KEYS.get(key, key), was.get(key), would_be.get(key)


def _flat(config: RunConfig) -> dict[str, str]:
    return flatten(config.model_dump(mode="json"))


def _computed(spec: StageSpec) -> dict[str, str]:
    """The fields of a stage's spec that affect what it computes."""
    return flatten(spec.model_dump(mode="json", exclude=NOT_COMPUTED))


def _refusal(since: str, different: Sequence[tuple[str, Any, Any]]) -> ConfigError:
    """The error of keys that differ: the first with their old and new values, the others' names."""
    (key, old, new), *others = different
    also = [f"{name}: {was}, not {is_}" for name, was, is_ in others[:MOST_SHOWN]]
    if more := [name for name, _, _ in others[MOST_SHOWN:]]:
        also.append(f"{len(more)} more ({some_of(more)})")
    text = f"; {'; '.join(also)}" if also else ""
    return ConfigError(
        f"{key}: {since} with {old}, not {new}{text}; start another run for that (--run)"
    )
