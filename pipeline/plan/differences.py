"""What would differ in a stage that has begun, by the keys of the configuration; no torch."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from progan.stages.specs.stage import StageSpec

NOT_COMPUTED: dict[str, Any] = {
    "micro_batch": True,
    "checkpoint": True,
    "tick": True,
    "metrics": {"during", "every_ticks", "at_end", "images", "inception_weights"},
    "data": {"path", "cache_gb", "threads", "cache_folder"},
    "data_fingerprint": True,
    "grown_from": True,
    "init": {"path"},
    "representative": True,
    "engine": {"zero", "activation_checkpointing", "overlap_comm", "collective_timeout_minutes"},
}
"""Parts of a stage's spec that do not affect what it computes, but for rounding.

Statistics are of groups of consecutive samples, which a micro-batch may not split. The data set
is identified by its fingerprint, not by its path, and so are initial weights and a shared encoder
(the model has its checksum); the stage before is given by growth.first.
"""
CONFIG_KEYS = {
    "compile": "engine.compile",
    "lr": "optimizer.lr",
    "discriminator_lr": "optimizer.discriminator_lr",
    "init": "model.init",
    "init.sha256": "model.init_sha256",
    "growth.fade_images": "growth.fade_kimg",
    "growth.steady_images": "growth.steady_kimg",
}


class Difference(NamedTuple):
    """One key of the configuration, and its JSON values."""

    key: str
    old: Any
    new: Any

    @property
    def values(self) -> str:
        """In words."""
        return f"{shown(self.old)}, not {shown(self.new)}"


def differences(was: StageSpec, would_be: StageSpec) -> list[Difference]:
    """Where two specs of a stage differ in what they compute, in the order of their fields."""
    old, new = (spec.model_dump(mode="json", exclude=NOT_COMPUTED) for spec in (was, would_be))
    return [_in_the_units_of_the_configuration(each) for each in _walk("", old, new)]


def shown(value: Any) -> str:
    """A value as in a configuration; of a map with a kind, only that."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {shown(each)}" for key, each in value.items())
        return str(value["kind"]) if "kind" in value else f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _walk(key: str, old: Any, new: Any) -> Iterator[Difference]:
    """The innermost values that differ; all of a map or list whose parts cannot be compared."""
    if old == new:
        return
    parts = _parts(old, new)
    if parts is None:
        yield Difference(key, old, new)
        return
    for name, was, would_be in parts:
        yield from _walk(f"{key}.{name}" if key else name, was, would_be)


def _parts(old: Any, new: Any) -> list[tuple[str, Any, Any]] | None:
    """Name, old and new value of the parts of two maps or lists of the same kinds; else None."""
    if isinstance(old, dict) and isinstance(new, dict):
        if old.get("kind") != new.get("kind"):
            return [("kind", old.get("kind"), new.get("kind"))]
        return [(name, old.get(name), new.get(name)) for name in old | new]
    if isinstance(old, list) and isinstance(new, list) and _kinds(old) == _kinds(new) != []:
        return [(str(i), *pair) for i, pair in enumerate(zip(old, new, strict=True))]
    return None


def _kinds(values: list[Any]) -> list[str]:
    """The kinds of a list of maps that have one; empty for any other list."""
    maps = all(isinstance(each, dict) and "kind" in each for each in values)
    return [each["kind"] for each in values] if maps else []


def _in_the_units_of_the_configuration(found: Difference) -> Difference:
    """Lengths are configured in thousands of images."""
    if found.key.startswith("growth.") and found.key.endswith("_images"):
        found = found._replace(old=found.old / 1000, new=found.new / 1000)
    return found._replace(key=CONFIG_KEYS.get(found.key, found.key))
