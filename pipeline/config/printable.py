"""Text from outside, such as a name, made safe to print."""

import re

_ACTS_ON_TERMINALS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, without tab and line feed
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # new lines and changes of direction
    r"\ud800-\udfff]"  # bytes of a file name that are no text
)


def printable(value: object) -> str:
    r"""The value as text in which every character is seen: an escape character becomes \x1b."""
    return _ACTS_ON_TERMINALS.sub(lambda match: ascii(match[0])[1:-1], str(value))
