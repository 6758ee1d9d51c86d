"""MkDocs' hooks: pages from outside docs/, what commands print, a reference of all modules.

Documents link to each other and to files of the repository by their places in it, as on any host of
repositories. On the site docs/ is the root: links are rewritten, and what they lead to is added.
"""

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from progan.pipeline.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("pipeline", "stages", "launch", "datasets")
OUTPUT = re.compile(r"<!-- output of: (progan .+) -->")
LINK = re.compile(r"\]\((?![\w+]+:|#)([^)#\s]+)")
MOVED = {"README.md": "index.md"}


@event_priority(100)  # before mkdocstrings reads its settings
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the navigation, and show mkdocstrings where the modules are."""
    pages = [{_package(folder): _reference(folder)} for folder in _code_folders()]
    assert config.nav is not None
    config.nav.append({"Reference": pages})
    handlers = config.plugins["mkdocstrings"].config["handlers"]
    handlers["python"]["paths"] = [_package_tree()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference's pages, and what documents link to outside docs/."""
    for folder in _code_folders():
        modules = sorted(file.stem for file in folder.glob("*.py"))
        text = [f"# {_package(folder)}", *(f"::: {_package(folder)}.{name}" for name in modules)]
        page = File.generated(config, _reference(folder), content="\n\n".join(text))
        files.append(page)
    files.append(File.generated(config, "commands.md", content=_commands()))
    todo = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]
    todo += [target for page in files.documentation_pages() for target in _targets(page)]
    while todo:
        path = todo.pop()
        if path.is_file() and files.get_file_from_path(_on_site(path)) is None:
            added = File.generated(config, _on_site(path), abs_src_path=str(path))
            files.append(added)
            todo += _targets(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links become links by places on the site; the output of commands is filled in."""
    here = os.path.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        target = _source(page.file).parent.joinpath(match[1]).resolve()
        return f"]({os.path.relpath(_on_site(target), here)}" if target.is_file() else match[0]

    return OUTPUT.sub(lambda match: _printed(match[1]), LINK.sub(rewritten, markdown))


def _commands() -> str:
    """A page with the --help of every command."""

    def below(group: click.Group, words: str) -> Iterator[str]:
        for name, command in sorted(group.commands.items()):
            yield f"## {words} {name}\n\n{_printed(f'{words} {name} --help')}"
            if isinstance(command, click.Group):
                yield from below(command, f"{words} {name}")

    return "\n\n".join(["# Commands", _printed("progan --help"), *below(main, "progan")])


def _printed(line: str) -> str:
    """What a command prints, as a block of code."""
    _, *words = shlex.split(line)
    result = CliRunner().invoke(main, words, prog_name="progan", env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    return f"```{'yaml' if words[0] == 'config' else 'text'}\n{result.stdout.rstrip()}\n```"


def _targets(file: File) -> Iterator[Path]:
    """The files that a document links to."""
    if file.is_documentation_page():
        for link in LINK.findall(file.content_string):
            yield _source(file).parent.joinpath(link).resolve()


def _source(file: File) -> Path:
    """A file's place in the repository."""
    return Path(file.abs_src_path or ROOT / "docs" / file.src_uri)


def _on_site(path: Path) -> str:
    """The place on the site of a file of the repository."""
    name = path.relative_to(ROOT).as_posix().removeprefix("docs/")
    return MOVED.get(name, name)


def _code_folders() -> list[Path]:
    found = {file.parent for top in FOLDERS for file in (ROOT / top).rglob("*.py")}
    found.remove(ROOT / "pipeline" / "cli")  # the page of commands has its docstrings
    return sorted(found, key=lambda folder: (FOLDERS.index(_top(folder)), folder))


def _top(folder: Path) -> str:
    return folder.relative_to(ROOT).parts[0]


def _package(folder: Path) -> str:
    return ".".join(("progan", *folder.relative_to(ROOT).parts))


def _reference(folder: Path) -> str:
    return f"reference/{_package(folder)}.md"


def _package_tree() -> str:
    """The folders under their import name: mkdocstrings follows no links."""
    tree = ROOT / "build" / "modules"
    shutil.rmtree(tree, ignore_errors=True)
    for top in FOLDERS:
        shutil.copytree(ROOT / top, tree / "progan" / top)
    for folder in [tree / "progan", *(tree / "progan").rglob("*/")]:
        (folder / "__init__.py").touch()
    return str(tree)
