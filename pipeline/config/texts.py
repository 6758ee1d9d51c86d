"""What no text of a configuration may hold, whatever its key: control characters, credentials."""

import re
from collections.abc import Iterator
from typing import Any

from progan.pipeline.config.secrets import has_credentials

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SCHEME = re.compile(r"(?<=\w\w):/(?!/)")
"""Of a URI that was read as a path"""
MAY_BE_SECRET = "launch.env."
"""Keys whose values are masked wherever they are shown, and so may be secret"""
CREDENTIALS = (
    "holds credentials, which must not be written down; leave them out and set the environment "
    "variables of the program that needs them, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)


def refused_text(values: dict[str, Any]) -> str | None:
    """The first key, dotted, whose name or value cannot be accepted, and why; None if all can."""
    for key, text in _texts(values, ""):
        if found := _CONTROL.search(key + text):
            return f"{_CONTROL.sub('?', key)}: has a character that is no text, {ascii(found[0])}"
        uri = _SCHEME.sub("://", text)
        if "://" in uri and not key.startswith(MAY_BE_SECRET) and has_credentials(uri):
            return f"{key}: {CREDENTIALS}"
    return None


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """All texts with their dotted keys."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _texts(child, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _texts(child, f"{key}.{index}")
    else:
        yield key, value if isinstance(value, str) else ""
