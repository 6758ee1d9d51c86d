"""Text from outside, such as a name, made safe to print."""

import re

from progan.datasets.names import shown

_LAYOUT = re.compile(r"([\n\t])")


def printable(value: object) -> str:
    r"""The value as text in which every character is seen: an escape character becomes \x1b.

    Unlike `shown`, which is for single lines and cells, it keeps line feeds and tabs.
    """
    parts = _LAYOUT.split(str(value))
    return "".join(part if _LAYOUT.fullmatch(part) else shown(part) for part in parts)
