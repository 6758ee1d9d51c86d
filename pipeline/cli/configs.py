"""The commands about configurations, and the arguments CONFIG and KEY=VALUE."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from progan.pipeline.cli.completion import ConfigName, PresetName, complete_keys
from progan.pipeline.cli.output import json_option, say, show, write

if TYPE_CHECKING:
    from rich.table import Table

overrides_argument = click.argument(
    "overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_keys
)


def config_arguments(command: Callable[..., Any]) -> Callable[..., Any]:
    """CONFIG and KEY=VALUE."""
    return click.argument("config", type=ConfigName())(overrides_argument(command))


class WithConfig(click.Command):
    """A command whose help ends with what CONFIG may be."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Explain CONFIG and list the presets."""
        from progan.pipeline.config.schema import presets

        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(
                "CONFIG is a YAML file or the name of a preset; KEY=VALUE words override its keys, "
                f"such as growth.last=64. Presets: {', '.join(presets())}."
            )


@click.command()
@click.argument("name", type=PresetName(), required=False)
@json_option
def presets(name: str | None, as_json: bool) -> None:
    """List the presets, or print one.

    A preset is a configuration by name, for `progan plan` and `progan train`. Its NAME alone prints
    its file, to be copied and changed; `progan config NAME` prints it with all defaults.

    \b
    progan presets
    progan presets recommended-256 > mine.yaml
    """
    from progan.pipeline.config.preset_list import preset_document, preset_text

    if name is None:
        show(preset_document(), _table, as_json)
    elif as_json:
        raise click.UsageError("--json is for the list; a preset is printed as YAML")
    else:
        write(preset_text(name))


def _table(document: dict[str, Any]) -> "Table":
    """The list of presets as a table."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for heading in ("preset", "for", "resolutions", "loss"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "preset")
    for preset in document["presets"]:
        first, last = preset["resolutions"][0], preset["resolutions"][-1]
        grown = str(last) if first == last else f"{first} to {last}"
        table.add_row(preset["name"], preset["purpose"], grown, preset["loss"])
    return table


@click.command(cls=WithConfig)
@click.argument("config", type=ConfigName(), required=False)
@overrides_argument
@click.option("--schema", is_flag=True, help="Print the JSON schema of a CONFIG, for editors.")
def config(config: str | None, overrides: tuple[str, ...], schema: bool) -> None:
    """Print a complete configuration, explained.

    It has every key, what it means, and its value. What is printed is a CONFIG itself, with the
    same meaning; keys can be changed or left out.

    \b
    progan config cifar10-32 > mine.yaml
    progan config mine.yaml growth.last=64 augment=ada

    Editors with a YAML language server complete and check the keys of a file that begins with the
    line below, beside the schema that --schema prints.

    \b
    # yaml-language-server: $schema=progan.schema.json
    progan config --schema > progan.schema.json
    """
    if schema:
        if config is not None:
            raise click.UsageError("--schema is the same for every CONFIG: name none")
        from progan.pipeline.config.editor_schema import editor_schema

        write(json.dumps(editor_schema(), indent=2))
        return
    if config is None:
        raise click.UsageError("name a CONFIG, such as cifar10-32 (progan presets lists them)")
    from progan.pipeline.config.commented import commented_yaml
    from progan.pipeline.config.schema import load_config

    loaded = load_config(config, overrides, auto_precision=lambda launch: "auto")
    write(commented_yaml(loaded.masked()))
    if loaded.launch.env:
        say("progan: the values of launch.env may be secret and are shown as ***: fill them in")
