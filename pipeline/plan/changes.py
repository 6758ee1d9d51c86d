"""What may change when a run goes on, and what would make it another run; no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from progan.pipeline.config.schema import RunConfig
from progan.pipeline.config.yaml_io import flatten
from progan.pipeline.errors import ConfigError
from progan.pipeline.plan.plan import stage_spec
from progan.pipeline.run_folder import RunFolder

NEVER = ("seed", "model.", "growth.first")
"""Keys that every stage depends on."""
NOT_COMPUTED: dict[str, Any] = {
    "checkpoint": True,
    "tick": True,
    "metrics": True,
    "data": {"path", "cache_gb", "threads"},
    "engine": {"zero", "activation_checkpointing", "overlap_comm", "collective_timeout_minutes"},
}
"""Parts of a stage's spec that change nothing it computes; the data set is known by its
fingerprint, wherever it lies."""
CONFIG_KEYS = {
    "compile": "engine.compile",
    "lr": "optimizer.lr",
    "discriminator_lr": "optimizer.discriminator_lr",
    "growth.fade_images": "growth.fade_kimg",
    "growth.steady_images": "growth.steady_kimg",
}


def accept_changes(old: RunConfig, new: RunConfig, begun: Sequence[int]) -> list[str]:
    """The keys whose values differ, as `key=new value`; `begun` are the stages to be kept as made.

    Raises ConfigError naming the first key that would change what a begun stage computes.
    """
    before, after = _flat(old), _flat(new)
    changed = [key for key in after | before if before.get(key) != after.get(key)]
    for key in changed:
        if key.startswith(NEVER):
            raise _refusal(key, "the run was started", before.get(key), after.get(key))
    for resolution in begun:
        if resolution not in new.resolutions:
            raise _refusal("growth.last", f"stage {resolution} has begun", old.growth.last,
                           new.growth.last)  # fmt: skip
        was, would_be = (_computed(config, resolution) for config in (old, new))
        for key in was | would_be:
            if was.get(key) != would_be.get(key):
                name = CONFIG_KEYS.get(key, key)
                begun_with = f"stage {resolution} has begun"
                raise _refusal(name, begun_with, was.get(key), would_be.get(key))
    return [f"{key}={after.get(key)}" for key in changed]


def _flat(config: RunConfig) -> dict[str, str]:
    return flatten(config.model_dump(mode="json"))


def _computed(config: RunConfig, resolution: int) -> dict[str, str]:
    """All of a stage's spec that its figures depend on."""
    spec = stage_spec(config, RunFolder(Path()), "", resolution)
    return flatten(spec.model_dump(mode="json", exclude=NOT_COMPUTED))


def _refusal(key: str, since: str, old: Any, new: Any) -> ConfigError:
    return ConfigError(f"{key}: {since} with {old}, not {new}; start another run for that (--run)")
