"""Names from outside are stored as UTF-8, and shown without control characters."""

import pickle

import pytest

from progan.datasets.errors import DataError
from progan.datasets.names import printable, shown


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("größe 日本 👩‍👧.png", "größe 日本 👩‍👧.png"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("two\nlines\r\t\x7f\x9b", r"two\nlines\r\t\x7f\x9b"),
        ("\u202egnp.exe\u2028", r"\u202egnp.exe\u2028"),
        ("\udcff\ud800", r"\xff\ud800"),
    ],
)
def test_control_characters_are_shown_escaped(name: str, expected: str) -> None:
    assert shown(name) == expected
    error = DataError(f"{name} is damaged")
    assert str(error) == f"{expected} is damaged"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_message_has_a_limited_length() -> None:
    text = str(DataError(f"begin {'x' * 1_000_000} end"))
    assert len(text) < 2010
    assert text.startswith("begin ") and text.endswith(" end")


@pytest.mark.parametrize("name", ["a\nb", "\udcff.png", "\ud800", "\udfff", "é"])
def test_printable_names_are_utf_8(name: str) -> None:
    encoded = printable(name).encode()
    assert encoded == name.encode("utf-8", "backslashreplace").replace(b"\\udcff", b"\\xff")
