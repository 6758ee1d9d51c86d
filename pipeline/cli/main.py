"""The command line. Commands import what they need when they run, so that --help is fast."""

import logging
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from progan.pipeline.cli.data import data, prepare
from progan.pipeline.cli.evaluate import evaluate
from progan.pipeline.cli.local_path import LocalPath
from progan.pipeline.cli.models import export, import_command
from progan.pipeline.cli.output import json_option, say, show, show_as_it_comes
from progan.pipeline.cli.samples import generate, interpolate, report, timelapse
from progan.pipeline.config.printable import printable
from progan.pipeline.config.secrets import without_secrets

if TYPE_CHECKING:
    from progan.pipeline.config.schema import RunConfig

EXIT_FAILED, EXIT_USAGE, EXIT_DATA = 1, 2, 3

detach_option = click.option(
    "--detach",
    is_flag=True,
    help="Submit all stages to Slurm as jobs that wait for each other, and exit.",
)


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


class Cli(click.Group):
    """Prints expected errors in one or two lines and exits with their code."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the words before the command."""
        with printable_messages():
            return super().make_context(*arguments, **options)

    def invoke(self, context: click.Context) -> Any:
        """Run the chosen command."""
        try:
            with printable_messages():
                return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if context.params.get("debug"):
                raise
            code = exit_code(error)
            if code is None:
                raise
            say(f"progan: {without_secrets(message(error))}")
            sys.exit(code)


@contextmanager
def printable_messages() -> Iterator[None]:
    """click's errors repeat what was typed."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = printable(error.message)
        raise


class PrintableFormatter(logging.Formatter):
    """Of warnings, which repeat what a server answered."""

    def format(self, record: logging.LogRecord) -> str:
        """The message alone."""
        return printable(without_secrets(super().format(record)))


def message(error: Exception) -> str:
    """What a user is shown of an expected error."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def exit_code(error: Exception) -> int | None:
    """The exit code of an expected error; None if it is a bug.

    A path that is not there, or that the user may not read or write, is wrong usage.
    """
    from progan.datasets.errors import DataError, NoDataSetError
    from progan.launch.errors import LaunchConfigError, LaunchError
    from progan.pipeline.errors import ConfigError, RunError, StoppedError
    from progan.stages.errors import NoNetworksError, StageError
    from progan.stages.training.stop_request import EXIT_STOPPED

    codes: list[tuple[tuple[type[Exception], ...], int]] = [
        (
            (ConfigError, LaunchConfigError, NoDataSetError, NoNetworksError, PermissionError),
            EXIT_USAGE,
        ),
        ((DataError,), EXIT_DATA),
        ((StoppedError,), EXIT_STOPPED),
        ((RunError, LaunchError, StageError, OSError), EXIT_FAILED),
    ]
    return next((code for kinds, code in codes if isinstance(error, kinds)), None)


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="progan")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Train progressive-growing GANs from 4x4 to 1024x1024.

    \b
    progan prepare PICTURES DATASET --resolution 256
    progan train cifar10-32 data.path=DATASET --run RUN
    progan export RUN MODEL
    progan generate MODEL grid.png

    Exit codes: 0 done, 1 failed, 2 wrong usage or configuration (also what is not there or may not
    be read), 3 bad data, 75 stopped on request (the same command resumes).
    """
    if logging.lastResort:  # the handler of warnings where no logging is set up
        logging.lastResort.setFormatter(PrintableFormatter())


for command in (
    prepare,
    data,
    export,
    import_command,
    evaluate,
    report,
    generate,
    interpolate,
    timelapse,
):
    main.add_command(command)


@main.command(cls=WithConfig)
@click.argument("config")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@json_option
def plan(config: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show a run's stages and their memory; train nothing."""
    from progan.launch.backends.backend import BACKENDS
    from progan.launch.devices import gpu_memory_bytes, ram_bytes
    from progan.pipeline.cli.plan_view import plan_document, plan_table
    from progan.pipeline.config.schema import load_config
    from progan.pipeline.plan.hints import hints
    from progan.pipeline.plan.host_memory import Machine
    from progan.pipeline.plan.initial_weights import pinned
    from progan.pipeline.plan.memory import estimate_memory, shortages
    from progan.pipeline.plan.plan import check, stage_specs
    from progan.pipeline.run_folder import RunFolder

    loaded = pinned(load_config(config, overrides))
    ranks = BACKENDS[loaded.launch.backend](loaded.launch).world_size
    check(loaded, ranks)
    specs = stage_specs(loaded, RunFolder(Path("RUN")), "")
    machine = Machine.of(loaded, ranks)
    documents = (plan_document(specs, found, machine) for found in estimate_memory(specs, ranks))
    document = show_as_it_comes(documents, plan_table, as_json)
    ram = ram_bytes() if loaded.launch.backend == "local" else 0
    warnings = shortages(document, gpu_memory_bytes(), ram, ranks)
    for warning in warnings + hints(specs, machine.manifest):
        say(f"progan: {warning}")


@main.command(cls=WithConfig)
@click.argument("config")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--run", type=LocalPath(), help="Folder of the run.  [default: runs/ and CONFIG's name]"
)
@detach_option
def train(config: str, overrides: tuple[str, ...], run: Path | None, detach: bool) -> None:
    """Train a run, or resume it: the same command does both.

    \b
    progan train demo
    progan train celebahq-1024-8gpu data.path=data/faces growth.last=256 --run runs/faces

    After --detach, `progan status RUN` shows how far the run is; the same command without --detach
    watches the submitted jobs and resubmits lost ones.
    """
    from progan.pipeline.config.schema import load_config
    from progan.pipeline.train import train as train_run

    stop_on_signals()
    path = run or Path("runs") / Path(config).stem
    loaded = load_config(config, overrides)
    _print_hints(loaded)
    _print_jobs(train_run(loaded, path, detach=detach), path)


def _print_hints(config: "RunConfig") -> None:
    from progan.pipeline.plan.hints import hints
    from progan.pipeline.plan.host_memory import known_manifest
    from progan.pipeline.plan.plan import stage_specs
    from progan.pipeline.run_folder import RunFolder

    specs = stage_specs(config, RunFolder(Path("RUN")), "")
    for hint in hints(specs, known_manifest(config)):
        say(f"progan: {hint}")


@main.command()
@click.argument("run", type=LocalPath())
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--stage",
    type=int,
    help="Resolution of a stage to train again; it and later ones are moved to RUN/superseded.",
)
@detach_option
def resume(run: Path, overrides: tuple[str, ...], stage: int | None, detach: bool) -> None:
    """Resume a run with the configuration saved in its folder.

    KEY=VALUE words change that configuration: for stages that have not begun, batch sizes, lengths,
    learning rates and further resolutions; for all stages, the keys that do not change results
    (launch, tracking, checkpoint, ticks).
    """
    from progan.pipeline.train import resume as resume_run

    stop_on_signals()
    _print_jobs(resume_run(run, overrides, stage, detach=detach), run)


def _print_jobs(jobs: dict[int, str], run: Path) -> None:
    """Print the submitted jobs, and how to watch them."""
    for resolution, job in jobs.items():
        say(f"{resolution}x{resolution}: job {job}")
    if jobs:
        say(f"watch them with: progan status {shlex.quote(str(run))}")


@main.command()
@click.argument("run", type=LocalPath())
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Minutes to wait for a stage to start.",
)
def join(run: Path, patience: float) -> None:
    """Take part in a run that another machine trains.

    For launch.backend=torchrun: of the launch.nodes machines, one runs `progan train` and each of
    the others runs this command, in any order. RUN must be on a disk that all of them share. This
    command ends when the run does, with the same exit code.
    """
    from progan.pipeline.run.join import join as join_run

    stop_on_signals()
    join_run(run, patience)


@main.command()
@click.argument("run", type=LocalPath())
@json_option
@click.option("--watch", is_flag=True, help="Update every two seconds until the run is done.")
def status(run: Path, as_json: bool, watch: bool) -> None:
    """Show how far each stage of a run is."""
    from progan.pipeline.run.status import status as status_of
    from progan.pipeline.run.status import status_table
    from progan.pipeline.run.status import watch as watch_run
    from progan.pipeline.run_folder import existing_run

    if watch and as_json:
        raise click.UsageError("--watch and --json: choose one")
    if watch:
        watch_run(existing_run(run))
    else:
        show(status_of(existing_run(run)), status_table, as_json)


@main.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check this machine: GPUs, libraries, launchers, disk.

    Lists what is installed, what is missing or of a wrong version, and how to install it; exit code
    1 if something that every run needs is missing.
    """
    from progan.pipeline.cli.doctor import FAILED, doctor_table, examine

    document = examine(Path.cwd())
    show(document, doctor_table, as_json)
    if any(finding["state"] == FAILED for finding in document["findings"]):
        sys.exit(EXIT_FAILED)


def stop_on_signals() -> None:
    """Let SIGTERM stop a run as Ctrl-C does: the workers end, exit code 75."""
    from progan.pipeline.errors import StoppedError

    def stop(number: int, frame: object) -> None:
        raise StoppedError

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
