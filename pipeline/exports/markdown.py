"""Text from outside in Markdown: names of classes may hold markup, line breaks or anything."""

import re
from collections.abc import Sequence

_LONGEST, _MOST = 80, 20


def code_spans(names: Sequence[str]) -> str:
    """Names for the cell of a table, as code, in which no markup counts; only the first of many."""
    spans = [_code_span(name) for name in names[:_MOST]]
    return ", ".join([*spans, f"and {len(names) - _MOST} more"] if len(names) > _MOST else spans)


def _code_span(name: str) -> str:
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:_LONGEST])
    # Longer than any run of backticks within.
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    escaped = shown.replace("|", r"\|")
    return f"{fence} {escaped} {fence}"
