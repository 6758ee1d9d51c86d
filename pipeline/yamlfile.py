"""Configurations as YAML 1.2: read, overridden by `key=value` words, written."""

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from progan.datasets.files import write_whole
from progan.pipeline.errors import ConfigError


def read_yaml(path: Path) -> dict[str, Any]:
    """The map in a file. ConfigError if it is not YAML, not a map, or names a key twice."""
    try:
        values = YAML(typ="safe").load(path)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a map of configuration keys")
    return values


def write_yaml(path: Path, values: dict[str, Any]) -> None:
    """Write a map, whole or not at all."""
    yaml = YAML()
    yaml.default_flow_style = False
    text = io.BytesIO()
    yaml.dump(values, text)
    write_whole(path, text.getvalue())


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set one key in place: `growth.last=256`, `batch.64=32`, `objective.penalties.0.weight=5`.

    The value is read as YAML. A number where a map is meant becomes the map's `default`.
    """
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"{override}: expected key=value, like growth.last=256")
    try:
        value = YAML(typ="safe").load(text)
    except YAMLError as error:
        raise ConfigError(f"{dotted}: {text!r} is not a YAML value") from error
    *parents, last = (int(part) if part.isdigit() else part for part in dotted.split("."))
    here: Any = values
    for part, following in zip(parents, [*parents[1:], last], strict=True):
        here = _child(here, part, following, dotted)
    _set(here, last, value, dotted)


def _child(here: Any, part: str | int, following: str | int, dotted: str) -> Any:
    """The map or list under one part of a dotted key, made if it is not there."""
    if isinstance(here, list):
        return _item(here, part, dotted)
    child = here.setdefault(part, {})
    if isinstance(child, dict | list):
        return child
    if not isinstance(following, int) and following != "default":
        raise ConfigError(f"{dotted}: {part} is a single value, it has no keys")
    here[part] = {"default": child}
    return here[part]


def _set(here: Any, last: str | int, value: Any, dotted: str) -> None:
    if isinstance(here, list):
        _item(here, last, dotted)
    here[last] = value


def _item(here: list[Any], part: str | int, dotted: str) -> Any:
    if not isinstance(part, int) or part >= len(here):
        raise ConfigError(f"{dotted}: {part} is no index of a list of {len(here)}")
    return here[part]
