"""Nested configurations as flat ones."""

import json
from typing import Any


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested maps -> one map with dotted keys and values as text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return flat
