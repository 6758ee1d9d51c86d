"""Files that documents and code mention exist; tables and commands in documents are well-formed."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from progan.pipeline.cli.main import main
from progan.pipeline.config.schema import load_config, presets

ROOT = Path(__file__).resolve().parents[1]
TRACKED = [
    Path(name)
    for name in subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split()
]  # fmt: skip
DOCUMENTS = [
    path
    for path in TRACKED
    if path.suffix == ".md" and "results" not in path.parts and path.name != "model_card.md"
]
LINK = re.compile(r"\]\((?![\w+]+:)([^)#]+)")
PATH = re.compile(
    r"\b(?:benchmarks|datasets|docs|launch|pipeline|stages|tests)/[\w/-]+\.[a-z]\w+\b"
)
MODULE = re.compile(r"\b[a-z]\w*\.py\b")
NOT_OURS = {
    "custom_layers.py",
    "dataset_tool.py",
    "modules.py",
    "networks.py",
    "progressive_conv_net.py",
    "stage_1_and_2.py",
}
"""Files of DeepSpeed, of the official code and of others whose checkpoints are imported"""


def test_links_in_documents_lead_to_files() -> None:
    for document in DOCUMENTS:
        for link in LINK.findall((ROOT / document).read_text()):
            assert (ROOT / document).parent.joinpath(link).exists(), f"{document}: {link}"


def test_source_files_that_documents_name_exist() -> None:
    """A path in the layout of runs, such as stages/0064/spec.json, is none of ours."""
    missing = [
        f"{document}: {path}"
        for document in DOCUMENTS
        for path in PATH.findall((ROOT / document).read_text())
        if Path(path) not in TRACKED and not path.startswith("stages/0")
    ]
    assert missing == []


def test_modules_that_code_names_exist() -> None:
    names = {path.name for path in TRACKED} | NOT_OURS
    missing = [
        f"{path}: {name}"
        for path in TRACKED
        if path.suffix == ".py" and path.parts[0] not in ("tests", "benchmarks")
        for name in MODULE.findall((ROOT / path).read_text())
        if name not in names
    ]
    assert missing == []


FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(progan [^`]+)`")
RULE = re.compile(r"\|(\s*:?-+:?\s*\|)+")
BY_THE_SHELL = re.compile(r"""[*?{}\[\]$;&|<>()]""")
"""Characters that a shell does not pass on, unless they are quoted"""
REDIRECTION = re.compile(r" > [\w./-]+$")


def tables(text: str) -> Iterator[list[str]]:
    """The rows of each table, without those in code."""
    lines = FENCE.sub("", text).splitlines()
    for number, line in enumerate(lines):
        if RULE.fullmatch(line.strip()):
            end = number
            while end < len(lines) and lines[end].lstrip().startswith("|"):
                end += 1
            yield [lines[number - 1], *lines[number:end]]


def cells(row: str) -> int:
    r"""A \| is part of a cell, and any other | ends one, in code too."""
    return len(re.findall(r"(?<!\\)\|", row.strip())) - 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_rows_of_tables_have_as_many_cells_as_their_heading(document: Path) -> None:
    for heading, *rows in tables((ROOT / document).read_text()):
        for row in rows:
            assert cells(row) == cells(heading), row
            assert row.rstrip().endswith("|"), row


def commands(text: str) -> Iterator[tuple[str, bool]]:
    """Each progan command, and whether it is whole: one in a sentence may lack its arguments."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("progan "):
                yield REDIRECTION.sub("", line), True
    for span in SPAN.findall(FENCE.sub("", text)):
        yield " ".join(span.split()), False


COMMANDS = [
    pytest.param(command, is_whole, id=f"{document}: {command[:50]}")
    for document in DOCUMENTS
    for command, is_whole in commands((ROOT / document).read_text())
]


@pytest.mark.parametrize(("line", "is_whole"), COMMANDS)
def test_commands_are_quoted_and_have_known_options_and_keys(line: str, is_whole: bool) -> None:
    for raw in _words(line, posix=False):
        assert raw[0] in "'\"" or not BY_THE_SHELL.search(raw), f"{raw} needs quotes"
    command: click.Command = main
    words = _words(line, posix=True)[1:]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]
    try:
        context = command.make_context("progan", words)
    except click.exceptions.Exit:  # --help
        return
    except (click.MissingParameter, click.BadOptionUsage):
        assert not is_whole
        return
    if overrides := context.params.get("overrides"):
        name = context.params.get("config")
        preset, base = (name, ()) if name in presets() else ("demo", ("growth.last=1024",))
        changes = ("data.path=x", *base, *overrides)
        load_config(str(preset), changes, auto_precision=lambda launch: "fp32")


def _words(line: str, posix: bool) -> list[str]:
    lexer = shlex.shlex(line, posix=posix)
    lexer.whitespace_split = True
    return list(lexer)
