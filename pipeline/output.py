"""What commands print: a table for a person or one JSON document for a program."""

import json
from collections.abc import Callable
from typing import Any

import click


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--json: one document on standard output, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def show(document: dict[str, Any], table: Callable[[dict[str, Any]], Any], as_json: bool) -> None:
    """Print a document for a program or for a person."""
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    from rich.console import Console

    Console().print(table(document))
