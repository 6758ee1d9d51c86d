"""The command line. Commands import what they need when they run, so that --help is fast."""

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import progan
from progan.pipeline.cli.completion import RunPath
from progan.pipeline.cli.configs import (
    WithConfig,
    config,
    config_arguments,
    overrides_argument,
    presets,
)
from progan.pipeline.cli.data import data, prepare
from progan.pipeline.cli.evaluate import evaluate
from progan.pipeline.cli.local_path import LocalPath
from progan.pipeline.cli.models import export, import_command
from progan.pipeline.cli.output import json_option, say, show, show_as_it_comes
from progan.pipeline.cli.pretrain import pretrain
from progan.pipeline.cli.samples import generate, interpolate, report, timelapse
from progan.pipeline.cli.streams import outlive_output, write_any_character
from progan.pipeline.cli.track import track
from progan.pipeline.config.printable import printable
from progan.pipeline.config.secrets import without_secrets
from progan.pipeline.run.stop_signals import ignore_stop_signals, stop_on_signals
from progan.stages.training.stop_request import EXIT_STOPPED

if TYPE_CHECKING:
    from progan.pipeline.config.schema import RunConfig

EXIT_FAILED, EXIT_USAGE, EXIT_DATA = 1, 2, 3

detach_option = click.option(
    "--detach",
    is_flag=True,
    help="Submit all stages to Slurm as jobs that wait for each other, and exit.",
)


class Cli(click.Group):
    """Prints expected errors in one or two lines and exits with their code."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the words before the command."""
        write_any_character()
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
            if code is None or isinstance(error, BrokenPipeError):  # click ends quietly
                raise
            if code == EXIT_STOPPED:
                ignore_stop_signals()
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
        return f"{error.filename2 or error.filename}: {error.strerror}"
    if isinstance(error, FileNotFoundError) and error.filename is None:  # by os.getcwd
        return "the working directory has been removed: change to another one"
    return str(error)


def exit_code(error: Exception) -> int | None:
    """The exit code of an expected error; None if it is a bug.

    A path that is not there, or that the user may not read or write, is wrong usage.
    """
    from progan.datasets.errors import DataError, NoDataSetError
    from progan.launch.errors import LaunchConfigError, LaunchError
    from progan.pipeline.errors import ConfigError, RunError, StoppedError
    from progan.stages.errors import NoNetworksError, StageError

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
@click.version_option(progan.__version__)
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

    Completion of commands, presets, keys and runs, in bash (zsh and fish: zsh_source, fish_source):

    \b
    eval "$(_PROGAN_COMPLETE=bash_source progan)"
    """
    if sys.platform != "linux":
        raise click.ClickException(f"progan runs on Linux only, and this is {sys.platform}")
    if logging.lastResort:  # the handler of warnings where no logging is set up
        logging.lastResort.setFormatter(PrintableFormatter())


for command in (
    presets,
    config,
    prepare,
    data,
    pretrain,
    export,
    import_command,
    evaluate,
    report,
    generate,
    interpolate,
    timelapse,
    track,
):
    main.add_command(command)


@main.command(cls=WithConfig)
@config_arguments
@click.option(
    "--time", "measure", is_flag=True, help="Measure a few steps of every stage on this machine."
)
@json_option
def plan(config: str, overrides: tuple[str, ...], measure: bool, as_json: bool) -> None:
    """Show a run's stages, their memory and hours; train nothing.

    What --time has measured is remembered and shown without it, too, as long as neither the stages
    nor the machine change.
    """
    from progan.launch.backends.backend import BACKENDS
    from progan.launch.devices import gpu_memory_bytes, ram_bytes
    from progan.pipeline.cli.views.plan import Times, plan_document, plan_view
    from progan.pipeline.config.schema import load_config
    from progan.pipeline.plan.channels import assumed, with_channels
    from progan.pipeline.plan.hints import hints
    from progan.pipeline.plan.host_memory import Machine, known_manifest
    from progan.pipeline.plan.initial_weights import pinned
    from progan.pipeline.plan.memory import estimate_memory, shortages
    from progan.pipeline.plan.plan import check, stage_specs
    from progan.pipeline.plan.times import (
        Hardware,
        longer_than_a_day,
        measure_times,
        remembered_times,
    )
    from progan.pipeline.run.beginning.configuration import noted_precision
    from progan.pipeline.run.progress_display import track
    from progan.pipeline.run_folder import RunFolder

    notes: list[str] = []
    loaded = pinned(load_config(config, overrides, partial(noted_precision, notes)))
    loaded = with_channels(loaded, known_manifest(loaded))
    ranks = BACKENDS[loaded.launch.backend](loaded.launch).world_size
    check(loaded, ranks)
    specs = stage_specs(loaded, RunFolder(Path("RUN")), "")
    machine, hardware = Machine.of(loaded, ranks), Hardware.here(loaded.launch, ranks)
    if measure:
        measured = measure_times(specs, ranks, loaded.launch)
        stages = list(track(measured, "measuring steps", total=len(specs)))
    times = Times(hardware, stages if measure else remembered_times(specs, ranks, hardware))
    footprints = estimate_memory(specs, ranks)
    documents = (plan_document(specs, found, machine, times) for found in footprints)
    document = show_as_it_comes(documents, plan_view, as_json)
    ram = ram_bytes() if loaded.launch.backend == "local" else 0
    notes += shortages(document, gpu_memory_bytes(loaded.launch.env), ram, ranks)
    notes += hints(specs, machine.manifest, loaded.launch)
    seconds = document["hours"] and document["hours"] * 3600
    for note in (*notes, assumed(loaded), longer_than_a_day(seconds, on_gpus=hardware.on_gpus)):
        if note:
            say(f"progan: {note}")


@main.command(cls=WithConfig)
@config_arguments
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
    from progan.pipeline.run.beginning.configuration import load_run_config
    from progan.pipeline.train import train as train_run

    outlast_terminal()
    path = run or Path("runs") / Path(config).stem
    notes: list[str] = []
    loaded = load_run_config(config, overrides, path, notes)
    on_begin = partial(_print_notes, notes, loaded)
    _print_jobs(train_run(loaded, path, detach=detach, on_begin=on_begin), path)


def _print_notes(notes: list[str], config: "RunConfig") -> None:
    """Print what was chosen for a run, and what is probably unintended."""
    from progan.pipeline.run.beginning.configuration import run_hints

    for note in notes + run_hints(config):
        say(f"progan: {note}")


@main.command()
@click.argument("run", type=RunPath())
@overrides_argument
@click.option(
    "--stage",
    type=int,
    help="Resolution of a stage to train again; it and later ones are moved to RUN/superseded.",
)
@click.option(
    "--change",
    is_flag=True,
    help="Let KEY=VALUE words change what a stage that has begun computes, from its newest "
    "checkpoint on.",
)
@detach_option
def resume(
    run: Path, overrides: tuple[str, ...], stage: int | None, change: bool, detach: bool
) -> None:
    """Resume a run with the configuration saved in its folder.

    \b
    progan resume RUN growth.steady_kimg.256=2000
    progan resume RUN optimizer.lr.256=0.0005 --change
    progan resume RUN data.path=LARGER growth.last=512

    KEY=VALUE words change that configuration. Without --change: for stages that have not begun,
    batch sizes, learning rates, penalties and further resolutions; for the last stage that has
    begun, its length, even if it has ended; for all stages, what does not change results
    (micro_batch, engine.zero, engine.activation_checkpointing, data.threads, launch, tracking,
    checkpoint, ticks, metrics but for the holdout).

    With --change also learning rates, penalties, augmentation, batch sizes and the like in a stage
    that has begun. What it has computed stays, and the run's events say what changed when. Seed
    and networks never change.

    Stages that have not begun may read another data set of the same pictures, such as one prepared
    at a higher resolution.
    """
    from progan.pipeline.train import resume as resume_run

    outlast_terminal()
    jobs = resume_run(run, overrides, stage, detach=detach, change=change, on_message=say)
    _print_jobs(jobs, run)


def _print_jobs(jobs: dict[int, str], run: Path) -> None:
    """Print the submitted jobs, and how to watch them."""
    for resolution, job in jobs.items():
        say(f"{resolution}x{resolution}: job {job}")
    if jobs:
        say(f"watch them with: progan status {shlex.quote(str(run))}")


@main.command()
@click.argument("run", type=RunPath())
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

    outlast_terminal()
    join_run(run, patience)


@main.command()
@click.argument("run", type=RunPath())
@json_option
@click.option("--watch", is_flag=True, help="Update every two seconds until the run is done.")
def status(run: Path, as_json: bool, watch: bool) -> None:
    """Show how far each stage of a run is.

    Also its copy at checkpoint.mirror, which is asked for 5 seconds at most.
    """
    from progan.pipeline.run.status import status_and_mirror, status_table
    from progan.pipeline.run.status import watch as watch_run
    from progan.pipeline.run_folder import existing_run

    if watch and as_json:
        raise click.UsageError("--watch and --json: choose one")
    if watch:
        watch_run(existing_run(run))
    else:
        show(status_and_mirror(existing_run(run)), status_table, as_json)


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


def outlast_terminal() -> None:
    """Neither a signal nor an output that is closed ends a run without a checkpoint."""
    outlive_output()
    stop_on_signals()
