"""Names are shown as they are: no markup, nothing that acts on a terminal."""

import pytest
from rich.progress import BarColumn
from rich.table import Table

from progan.pipeline.config.printable import printable
from progan.pipeline.run.terminal import Terminal, Words, coloured

NAME = "faces [v2] [/x] :smile: \x1b[31m\u202e\udcff"
SHOWN = r"faces [v2] [/x] :smile: \x1b[31m\u202e\udcff"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (NAME, SHOWN),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\r\0\x7f\x9b31m", r"\r\x00\x7f\x9b31m"),
        ("Ünïcode 日本 العربية 👩\u200d🚀", "Ünïcode 日本 العربية 👩\u200d🚀"),
    ],
)
def test_only_what_acts_on_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_tables_and_lines_show_every_name_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as at a terminal, where rich writes codes of its own
    terminal = Terminal(width=120)
    table = Table(title=NAME, caption=NAME)
    table.add_column(NAME)
    table.add_row(NAME)
    table.add_row(coloured(NAME, "green"))
    with terminal.capture() as capture:
        terminal.print(table)
        terminal.say(NAME)
    assert capture.get().count(SHOWN) == 6
    assert "\x1b[31m" not in capture.get()


def test_bars_show_every_name_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    columns = Words("{task.description}"), BarColumn(), Words("{task.fields[note]}")
    with Terminal(stderr=True).bars(*columns) as bars:
        bars.add_task(NAME, total=1, note=NAME)
    shown = capsys.readouterr().err
    assert shown.count(SHOWN) >= 2
    assert "\x1b[31m" not in shown
