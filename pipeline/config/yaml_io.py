"""Configurations as YAML 1.2: read, overridden by `key=value` words, written."""

import copy
import io
import json
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from progan.datasets.files import whole_file
from progan.pipeline.errors import ConfigError

NUMBER = re.compile("[0-9]{1,9}")


def read_yaml(path: Path) -> dict[str, Any]:
    """The map in a file. ConfigError if it is not YAML, not a map, or names a key twice."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8: no YAML file") from error
    try:
        values = _parse(text)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a map of configuration keys")
    return values


def _parse(text: str) -> Any:
    """The value of a YAML document. ValueError, with a message of one line, if it is none."""
    try:
        return YAML(typ="safe").load(io.StringIO(text))
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except (YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        # ruamel raises others than its own for dates, numbers and merges that are none
        message = " ".join(str(error).replace('in "<file>", ', "at ").split())
        raise ValueError(message.partition(" To suppress this check")[0]) from error


def yaml_text(config: BaseModel) -> str:
    """A configuration with all its defaults."""
    return yaml_block(plain(config.model_dump()))


def yaml_block(values: dict[str, Any]) -> str:
    """Maps, lists and scalars as YAML in block style."""
    yaml = YAML()
    yaml.default_flow_style = False
    text = io.StringIO()
    yaml.dump(values, text)
    return text.getvalue()


def write_yaml(path: Path, config: BaseModel, *, private: bool = False) -> None:
    """Write a configuration with all its defaults, atomically; readable by the user alone if
    `private`."""
    with whole_file(path) as file:
        if private:
            os.fchmod(file.fileno(), 0o600)
        file.write(yaml_text(config).encode())


def plain(value: Any) -> Any:
    """The value as maps, lists and scalars; resolutions stay numbers, unlike in JSON."""
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [plain(child) for child in value]
    return str(value) if isinstance(value, Path) else value


def apply_override(values: dict[str, Any], override: str, defaults: dict[str, Any]) -> None:
    """Set one key in place: `growth.last=256`, `batch.64=32`, `objective.penalties.0.weight=5`.

    The value is read as YAML. Lists and maps by resolution on the way to the key are copied from
    `defaults` if `values` lacks them. A single value in place of a map becomes its `default`.
    """
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"{override}: expected key=value, like growth.last=256")
    try:
        value = _parse(text)
    except ValueError as error:
        raise ConfigError(f"{dotted}: {text!r} is not a YAML value") from error
    parts = [int(part) if NUMBER.fullmatch(part) else part for part in dotted.split(".")]
    here: Any = values
    for part, following in pairwise(parts):
        here, defaults = _child(here, part, following, dotted, defaults)
    if isinstance(here, list):
        _item(here, parts[-1], dotted)
    here[parts[-1]] = value


def _child(
    here: Any, part: str | int, following: str | int, dotted: str, defaults: Any
) -> tuple[Any, Any]:
    """The map or list under one part of a dotted key, and the defaults for it."""
    if isinstance(here, list):
        return _item(here, part, dotted), {}
    default = defaults.get(part, {}) if isinstance(defaults, dict) else {}
    child = here.setdefault(part, {} if _is_group(default) else copy.deepcopy(default))
    if child is None and isinstance(following, str) and following != "default":
        child = here[part] = {}  # a group that is off by default
    if not isinstance(child, dict | list):
        if not isinstance(following, int) and following != "default":
            raise ConfigError(f"{dotted}: {part} is a single value, it has no keys")
        child = here[part] = {"default": child}
    return child, default


def _is_group(default: Any) -> bool:
    """Whether validation fills in the missing keys, as it knows those of each `kind`."""
    if not isinstance(default, dict) or "default" in default:
        return False
    return all(isinstance(key, str) for key in default)


def _item(here: list[Any], part: str | int, dotted: str) -> Any:
    if not isinstance(part, int) or part >= len(here):
        raise ConfigError(f"{dotted}: {part} is no index of a list of {len(here)}")
    return here[part]


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested maps -> one map with dotted keys and values as text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat
