"""--help of every command."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from progan.pipeline.cli.main import main
from progan.pipeline.config.schema import presets


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """All commands, with the words that call them."""
    for name, command in group.commands.items():
        yield " ".join([*names, name]), command
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_is_explained(words: str) -> None:
    options = [word for word in COMMANDS[words].params if isinstance(word, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("words", ["", "data"])
def test_lists_of_commands_show_whole_sentences(words: str) -> None:
    shown = CliRunner().invoke(main, [*words.split(), "--help"], terminal_width=80).output
    _, _, listed = shown.partition("Commands:\n")
    lines = listed.splitlines()
    assert lines and all(line.endswith(".") and not line.endswith("...") for line in lines)


@pytest.mark.parametrize("words", ["plan", "train"])
def test_presets_are_listed(words: str) -> None:
    shown = " ".join(CliRunner().invoke(main, [words, "--help"]).output.split())
    assert f"Presets: {', '.join(presets())}." in shown
