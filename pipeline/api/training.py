"""Runs from Python: train, resume. Does not import torch."""

import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from progan.pipeline.cli.output import say
from progan.pipeline.config.yaml_io import plain
from progan.pipeline.run.beginning.configuration import load_run_config, run_hints
from progan.pipeline.run.stop_signals import STOP_SIGNALS, stop_on_signals
from progan.pipeline.train import resume as resume_run
from progan.pipeline.train import train as train_run


def train(config: str | Path, run: str | Path, *words: str, **changes: Any) -> Path:
    """Train a run until its last stage is done, or resume the one in its folder: `progan train`.

    config: a YAML file, or the name of a preset. run: the run's folder, which is returned.
    Keys of the configuration are changed as on the command line, by `words` such as
    "growth.last=64", or by `changes` with the groups' names: `growth={"last": 64}`.

    Training is done by worker processes, as by the command; progress is shown on standard error.
    Raises ConfigError for a wrong configuration, before anything is written; DataError for a data
    set, LaunchError for machines, RunError for a stage that cannot go on. Ctrl-C, a notebook's
    interrupt and SIGTERM stop the workers, with a checkpoint, and raise StoppedError: the same call
    then resumes.

    >>> words = "ticks.kimg=0.1", "ticks.grid=4", "tracking.mlflow=off"
    >>> growth = {"first": 8, "last": 8, "steady_kimg": 0.3}
    >>> train("demo", "runs/shapes", *words, data={"path": "shapes"}, growth=growth)
    PosixPath('runs/shapes')
    """
    path = Path(run)
    notes: list[str] = []
    loaded = load_run_config(str(config), (*words, *as_words(changes)), path, notes)

    def show_notes() -> None:
        for note in notes + run_hints(loaded):
            say(f"progan: {note}")

    with _signals_stop():
        train_run(loaded, path, on_begin=show_notes)
    return path


def resume(run: str | Path, *words: str, stage: int | None = None, **changes: Any) -> Path:
    """Resume a run with the configuration saved in its folder: `progan resume`.

    `words` and `changes` alter that configuration as in `train`, where that does not alter what
    was computed. stage: resolution of a stage to train again; its result and later stages are
    moved to `superseded` in the run's folder. Returns the run's folder; errors as in `train`.

    >>> resume("runs/shapes", "launch.max_restarts=1")
    PosixPath('runs/shapes')
    """
    path = Path(run)
    with _signals_stop():
        resume_run(path, (*words, *as_words(changes)), stage, detach=False)
    return path


def as_words(changes: Mapping[Any, Any], prefix: str = "") -> list[str]:
    """{"growth": {"last": 64}} -> ["growth.last=64"]; lists and single values as JSON."""
    words = []
    for key, value in changes.items():
        if isinstance(value, Mapping) and value:
            words += as_words(value, f"{prefix}{key}.")
        else:
            words.append(f"{prefix}{key}={json.dumps(plain(value))}")
    return words


@contextmanager
def _signals_stop() -> Iterator[None]:
    """Have the signals that end a process stop a run, as at the command line.

    Without this, KeyboardInterrupt would leave the workers running. Only a process's main thread
    can handle signals; in other threads nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    stop_on_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # of C code, which cannot be restored
                signal.signal(number, handler)
