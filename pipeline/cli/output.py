"""Output of commands: lines and tables for users, or one JSON document for programs."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import click

from progan.pipeline.config.printable import printable


def say(text: str) -> None:
    """Print a line on standard error."""
    click.echo(printable(text), err=True)  # noqa: TID251


def write(text: str) -> None:
    """Print a document on standard output."""
    click.echo(printable(text).rstrip("\n"))  # noqa: TID251


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--json: one document on standard output, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def show(document: dict[str, Any], table: Callable[[dict[str, Any]], Any], as_json: bool) -> None:
    """Print a document as JSON or as a table."""
    if as_json:
        write(json.dumps(document, indent=2))
        return
    from progan.pipeline.run.terminal import Terminal

    Terminal().print(table(document))


def show_as_it_comes(
    documents: Iterable[dict[str, Any]], table: Callable[[dict[str, Any]], Any], as_json: bool
) -> dict[str, Any]:
    """Show documents of which each completes the previous one; returns the last.

    At a terminal each replaces the previous one; elsewhere only the last is printed.
    """
    from progan.pipeline.run.terminal import Terminal

    terminal = Terminal()
    if as_json or not terminal.is_terminal:
        *_, last = documents
        show(last, table, as_json)
        return last
    with terminal.live() as live:
        for last in documents:
            live.update(table(last), refresh=True)
    return last
