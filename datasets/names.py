"""Names that come from outside, as they may be stored and shown."""

import re

# Control characters, marks that reorder or break a line, and what UTF-8 cannot encode.
_UNSHOWABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_UNENCODABLE = re.compile(r"[\ud800-\udfff]")


def shown(text: str) -> str:
    r"""Text as it may go to a terminal or into a table: without control characters.

    Names of members, labels and the messages of libraries may hold escape sequences and line
    breaks, which become \x1b and \n.
    """
    return _UNSHOWABLE.sub(_escaped, text)


def printable(name: str) -> str:
    r"""A name that can be written as UTF-8: other bytes become \xff."""
    return _UNENCODABLE.sub(_escaped, name)


def _escaped(match: re.Match[str]) -> str:
    byte = ord(match.group()) - 0xDC00  # as "surrogateescape" decodes bytes that are not UTF-8
    if 0x80 <= byte <= 0xFF:
        return f"\\x{byte:02x}"
    return match.group().encode("unicode_escape").decode()
