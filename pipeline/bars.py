"""A bar for work that takes a while, on standard error and only on a terminal."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

Item = TypeVar("Item")


def track(items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
    """The items, counted as they are taken."""
    console = Console(stderr=True)
    hidden = not console.is_terminal
    return rich_track(items, what, total=total, console=console, disable=hidden, transient=True)
