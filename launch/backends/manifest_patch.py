"""Changes to a Kubernetes manifest, merged as `kubectl patch` merges them."""

from collections.abc import Mapping
from typing import Any

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}
"""Lists whose items are merged, and the key that says which item is meant; others are replaced"""


def merged(value: Mapping[str, Any], patch: Mapping[Any, Any]) -> dict[str, Any]:
    """The value with a patch applied: maps are merged, null removes a key.

    As Kubernetes' strategic merge patch, for the lists that a pod's template has.
    """
    result = dict(value)
    for key, change in patch.items():
        before = result.get(key)
        if change is None:
            result.pop(key, None)
        elif isinstance(change, Mapping):
            result[key] = merged(before if isinstance(before, Mapping) else {}, change)
        elif key in MERGE_KEYS and isinstance(before, list) and isinstance(change, list):
            result[key] = _merged_items(before, change, MERGE_KEYS[key])
        else:
            result[key] = change
    return result


def _merged_items(before: list[Any], changes: list[Any], name: str) -> list[Any]:
    """Items of the same name are merged, others added."""
    result = list(before)
    for change in changes:
        places = [i for i, item in enumerate(result) if item.get(name) == change.get(name)]
        if places:
            result[places[0]] = merged(result[places[0]], change)
        else:
            result.append(merged({}, change))
    return result
