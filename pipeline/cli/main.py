"""The command line. Commands import what they need when they run, so that --help is fast."""

import logging
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from progan.pipeline.cli.data import data, prepare
from progan.pipeline.cli.evaluate import evaluate
from progan.pipeline.cli.models import export, import_command
from progan.pipeline.cli.output import json_option, say, show, show_as_it_comes
from progan.pipeline.cli.samples import generate, interpolate, report, timelapse
from progan.pipeline.config.printable import printable

EXIT_FAILED, EXIT_USAGE, EXIT_DATA = 1, 2, 3

CONFIG_HELP = "CONFIG is a YAML file or the name of a preset; key=value words override its keys."
detach_option = click.option(
    "--detach", is_flag=True, help="Only submit the stages as jobs that follow each other (Slurm)."
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
            say(f"progan: {error}")
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
        return printable(super().format(record))


def exit_code(error: Exception) -> int | None:
    """The exit code of an expected error; None if it is a bug."""
    from progan.datasets.errors import DataError, NoDataSetError
    from progan.launch.errors import LaunchConfigError, LaunchError
    from progan.pipeline.errors import ConfigError, RunError, StoppedError
    from progan.stages.errors import NoNetworksError, StageError
    from progan.stages.training.stop_request import EXIT_STOPPED

    codes: list[tuple[tuple[type[Exception], ...], int]] = [
        ((ConfigError, LaunchConfigError, NoDataSetError, NoNetworksError), EXIT_USAGE),
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

    Exit codes: 0 done, 1 failed, 2 wrong usage or configuration (also: no such run, model or data
    set), 3 bad data, 75 stopped on request (the same command goes on).
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


@main.command(epilog=CONFIG_HELP)
@click.argument("config")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@json_option
def plan(config: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show the stages of a run as a table, with the memory each will need; start nothing."""
    from progan.launch.backends.backend import BACKENDS
    from progan.launch.devices import gpu_memory_bytes
    from progan.pipeline.cli.plan_view import plan_document, plan_table
    from progan.pipeline.config.schema import load_config
    from progan.pipeline.plan.initial_weights import pinned
    from progan.pipeline.plan.memory import estimate_memory, shortage
    from progan.pipeline.plan.plan import check, stage_specs
    from progan.pipeline.run_folder import RunFolder

    loaded = pinned(load_config(config, overrides))
    ranks = BACKENDS[loaded.launch.backend](loaded.launch).world_size
    check(loaded, ranks)
    specs = stage_specs(loaded, RunFolder(Path("RUN")), "")
    documents = (plan_document(specs, found) for found in estimate_memory(specs, ranks))
    document = show_as_it_comes(documents, plan_table, as_json)
    warning = shortage(document, gpu_memory_bytes())
    if warning:
        say(f"progan: {warning}")


@main.command(epilog=CONFIG_HELP)
@click.argument("config")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--run", type=click.Path(path_type=Path), help="Folder  [default: runs/CONFIG]")
@detach_option
def train(config: str, overrides: tuple[str, ...], run: Path | None, detach: bool) -> None:
    """Train a whole run, or go on with it: the same command does both.

    \b
    progan train demo
    progan train celebahq-1024-8gpu data.path=data/faces growth.last=256 --run runs/faces

    After --detach, `progan status` tells of the run, and the same command without it watches over
    the jobs there are.
    """
    from progan.pipeline.config.schema import load_config
    from progan.pipeline.train import train as train_run

    stop_on_signals()
    path = run or Path("runs") / Path(config).stem
    _require_folder(path)
    _print_jobs(train_run(load_config(config, overrides), path, detach=detach), path)


def _require_folder(path: Path) -> None:
    """ConfigError if a file stands at a path, or where one of its parents must be."""
    from progan.pipeline.errors import ConfigError

    existing = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not existing.is_dir():
        raise ConfigError(f"--run {path}: {existing} is a file, and a run is a folder")


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--stage", type=int, help="Re-open this stage: later ones are set aside.")
@detach_option
def resume(run: Path, overrides: tuple[str, ...], stage: int | None, detach: bool) -> None:
    """Go on with a run from the configuration frozen in its folder.

    key=value words change it for the stages that have not begun (batch, lengths, rates, further
    resolutions...) and, for all, in what computes nothing: launch, tracking, checkpoint, ticks.
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
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Minutes to wait for a stage to take part in.",
)
def join(run: Path, patience: float) -> None:
    """Take part, with this machine, in a run that `progan train` trains on another.

    For launch.backend=torchrun: start it on every machine of launch.nodes but the one where
    `progan train` runs, before or after that. RUN lies on a disk that all of them share. It ends
    when the run does, with the same exit code.
    """
    from progan.pipeline.run.join import join as join_run

    stop_on_signals()
    join_run(run, patience)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@json_option
@click.option("--watch", is_flag=True, help="Show it anew every two seconds until the run is done.")
def status(run: Path, as_json: bool, watch: bool) -> None:
    """Show where every stage of a run stands."""
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
    """Say what is here and what is missing: GPUs, libraries, launchers, compilers, disk."""
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
