"""The terminal: tables, bars and lines that show text as it is.

Names come from files, servers and other programs. Here brackets in them are no markup, colons no
emoji, and control characters are written out (`printable`). So no other module makes a console
(pyproject.toml, banned-api).
"""

from typing import Any

from rich.console import Console, RenderableType  # noqa: TID251
from rich.live import Live  # noqa: TID251
from rich.progress import Progress, ProgressColumn, Task, TextColumn  # noqa: TID251
from rich.text import Text  # noqa: TID251

from progan.pipeline.config.printable import printable

Bars = Progress
"""The type of what `Terminal.bars` returns"""


class Terminal(Console):
    """Standard output or error."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Every text, also a table's, goes through here."""
        return super().render_str(printable(text), **options)

    def say(self, text: str) -> None:
        """Print a line as long as it is, without wrapping it."""
        self.print(text, soft_wrap=True)

    def live(self, renderable: RenderableType | None = None) -> Live:
        """A table that is replaced by each update."""
        return Live(renderable, console=self, auto_refresh=False)

    def bars(self, *columns: ProgressColumn, transient: bool = False) -> Bars:
        """Bars; nothing where this is no terminal."""
        return Progress(*columns, console=self, disable=not self.is_terminal, transient=transient)


class Words(TextColumn):
    """A column of text beside a bar, such as "{task.description}"."""

    def __init__(self, template: str) -> None:
        super().__init__(template, markup=False)

    def render(self, task: Task) -> Text:
        """The task's fields in the template."""
        text = super().render(task)
        text.plain = printable(text.plain)
        return text


def coloured(word: str, colour: str) -> Text:
    """A word in a colour."""
    return Text(printable(word), style=colour)
