"""What documents and code mention exists: files, commands, keys."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from progan.pipeline.cli.main import main
from progan.pipeline.config.schema import load_config, presets
from progan.pipeline.errors import ConfigError

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
FENCED = re.compile(r"^```.*?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
TABLE = re.compile(r"(?:^\|.*\n){2,}", re.MULTILINE)
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


def code_of(text: str) -> Iterator[str]:
    """The lines of a document's code blocks, continuations joined, and its code spans."""
    blocks = FENCED.findall(text)
    for block in blocks:
        yield from block.replace("\\\n", " ").splitlines()
    for span in SPAN.findall(FENCED.sub("", text)):
        yield " ".join(span.split())


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each `progan ...` of the documents, and its words as a shell passes them on."""
    for document in DOCUMENTS:
        for line in code_of((ROOT / document).read_text()):
            if line.startswith("progan "):
                words = shlex.split(line, comments=True)[1:]
                yield f"{document}: {line}", [word for word in words if word != "..."]


def configuration(words: list[str]) -> None:
    """Raises ConfigError unless a preset, or any file's configuration, takes the overrides."""
    overrides = tuple(word for word in words if "=" in word and not word.startswith("-"))
    preset = words[0] in ("train", "plan") and words[1] in presets()
    load_config(words[1] if preset else "celebahq-1024-1gpu", overrides)


def test_commands_in_documents_are_understood() -> None:
    """Quoted for a shell, of known names and options, with configurations that can be read."""
    found = 0
    for where, words in commands():
        command: click.Command = main
        rest = words
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            assert rest[0] in command.commands, where
            command, rest = command.commands[rest[0]], rest[1:]
        if "--help" in rest or isinstance(command, click.Group) or not rest:
            continue  # the name of a command alone
        try:
            # A sentence may name one option alone.
            with suppress(click.MissingParameter, click.BadOptionUsage):
                command.make_context(words[0], list(rest))
            if words[0] in ("train", "plan", "resume"):
                configuration(words)
        except (click.ClickException, ConfigError) as error:
            raise AssertionError(f"{where}: {error}") from error
        found += 1
    assert found > 40


def cells(row: str) -> int:
    """Number of a table row's cells; bars within code and escaped ones do not count."""
    plain = SPAN.sub("", row.strip()).replace("\\|", "")
    return plain.count("|") - 1


def test_rows_of_tables_have_as_many_cells_as_their_headings() -> None:
    wrong = []
    for document in DOCUMENTS:
        text = FENCED.sub("", (ROOT / document).read_text())
        for table in TABLE.findall(text):
            heading, _, *rows = table.strip().splitlines()
            wrong += [f"{document}: {row}" for row in rows if cells(row) != cells(heading)]
    assert wrong == []
