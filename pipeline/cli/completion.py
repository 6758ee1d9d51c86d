"""What the shell completes: presets and files, keys of a configuration, runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from progan.pipeline.cli.local_path import LocalPath

if TYPE_CHECKING:
    from pydantic import BaseModel

    from progan.pipeline.config.schema import RunConfig

_ADD = "COMPREPLY+=($value)"
_ADD_WITHOUT_SPACE = "if [[ $value == *= ]]; then compopt -o nospace; fi; COMPREPLY+=($value)"


class Bash(BashComplete):
    """click's completion; after `growth.last=` bash adds no space."""

    source_template = BashComplete.source_template.replace(_ADD, _ADD_WITHOUT_SPACE)


add_completion_class(Bash)


class PresetName(click.types.StringParamType):
    """The name of a preset."""

    name = "preset"

    def shell_complete(
        self, context: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The presets, each with its purpose."""
        from progan.pipeline.config.preset_list import preset_text, purpose
        from progan.pipeline.config.schema import presets

        return [
            CompletionItem(name, help=purpose(preset_text(name)))
            for name in presets()
            if name.startswith(incomplete)
        ]


class ConfigName(PresetName):
    """A YAML file, or the name of a preset."""

    name = "config"

    def shell_complete(
        self, context: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Presets, and YAML files of the folder; where there are none, any file."""
        found = super().shell_complete(context, param, incomplete)
        folder, start = _split(incomplete)
        names = sorted(p for p in folder.glob("*.y*ml") if p.name.startswith(start))
        found += [CompletionItem(str(path)) for path in names]
        return found or [CompletionItem(incomplete, type="file")]


class RunPath(LocalPath):
    """The folder of a run."""

    def shell_complete(
        self, context: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Runs in runs/ and in the folder that is typed; where there are none, any folder."""
        folder, _ = _split(incomplete)
        places = {Path("runs"), folder}
        runs = sorted({str(p.parent) for place in places for p in place.glob("*/config.yaml")})
        found = [CompletionItem(run) for run in runs if run.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="dir")]


def complete_keys(
    context: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`KEY=` of every key of the command's CONFIG or RUN."""
    return [
        CompletionItem(f"{key}=", help=meaning or None)
        for key, meaning in keys(_configuration(context.params), "")
        if key.startswith(incomplete)
    ]


def keys(group: "BaseModel", prefix: str) -> Iterator[tuple[str, str]]:
    """The dotted keys of a configuration, and the first sentence of what each means."""
    from pydantic import BaseModel

    from progan.pipeline.config.commented import explanation
    from progan.stages.specs.by_resolution import ByResolution

    for name in type(group).model_fields:
        value, key = getattr(group, name), prefix + name
        if isinstance(value, BaseModel) and not isinstance(value, ByResolution):
            yield from keys(value, f"{key}.")
            continue
        yield key, explanation(type(group), name).partition(". ")[0]
        if isinstance(value, tuple):
            for number, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from keys(item, f"{key}.{number}.")


def _configuration(params: dict[str, object]) -> "RunConfig":
    """The configuration that is named; a preset if it cannot be read."""
    from progan.pipeline.config.schema import load_config
    from progan.pipeline.errors import ConfigError

    run = params.get("run")
    name = f"{run}/config.yaml" if run and "config" not in params else params.get("config")
    try:
        return load_config(str(name), auto_precision=lambda launch: "auto")
    except (ConfigError, OSError):
        return load_config("demo", auto_precision=lambda launch: "auto")


def _split(incomplete: str) -> tuple[Path, str]:
    """The folder that a word names so far, and the beginning of a name in it."""
    folder, slash, start = incomplete.rpartition("/")
    return Path(folder + slash), start
