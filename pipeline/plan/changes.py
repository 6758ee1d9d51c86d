"""Which configuration changes a resumed run accepts, and which need a new run; no torch."""

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
"""Parts of a stage's spec that do not affect what it computes; the data set is identified by its
fingerprint, not by its path."""
CONFIG_KEYS = {
    "compile": "engine.compile",
    "lr": "optimizer.lr",
    "discriminator_lr": "optimizer.discriminator_lr",
    "growth.fade_images": "growth.fade_kimg",
    "growth.steady_images": "growth.steady_kimg",
}


def accept_changes(old: RunConfig, new: RunConfig, started: Sequence[int]) -> list[str]:
    """The keys whose values differ, as `key=new value`.

    Raises ConfigError naming the first key that would change what one of the `started` stages
    computes.
    """
    before, after = _flat(old), _flat(new)
    changed = [key for key in after | before if before.get(key) != after.get(key)]
    for key in changed:
        if key.startswith(NEVER):
            raise _refusal(key, "the run was started", before.get(key), after.get(key))
    for resolution in started:
        if resolution not in new.resolutions:
            raise _refusal("growth.last", f"stage {resolution} has begun", old.growth.last,
                           new.growth.last)  # fmt: skip
        was, would_be = (_computed(config, resolution) for config in (old, new))
        for key in was | would_be:
            if was.get(key) != would_be.get(key):
                name = CONFIG_KEYS.get(key, key)
                since = f"stage {resolution} has begun"
                raise _refusal(name, since, was.get(key), would_be.get(key))
    shown = _flat(new.masked())
    return [f"{key}={shown.get(key)}" for key in changed]


def _flat(config: RunConfig) -> dict[str, str]:
    return flatten(config.model_dump(mode="json"))


def _computed(config: RunConfig, resolution: int) -> dict[str, str]:
    """The fields of a stage's spec that affect what it computes."""
    spec = stage_spec(config, RunFolder(Path()), "", resolution)
    return flatten(spec.model_dump(mode="json", exclude=NOT_COMPUTED))


def _refusal(key: str, since: str, old: Any, new: Any) -> ConfigError:
    return ConfigError(f"{key}: {since} with {old}, not {new}; start another run for that (--run)")
