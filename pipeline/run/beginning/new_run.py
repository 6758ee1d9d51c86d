"""Which folders can become runs; no torch."""

import os
from pathlib import Path

from progan.datasets.files import some_of
from progan.datasets.format.manifest import is_dataset
from progan.pipeline.errors import ConfigError
from progan.pipeline.run_folder import RunFolder

ELSEWHERE = "give --run another folder"


def run_to_train(path: Path) -> RunFolder:
    """The run in a folder, or a new one there.

    Raises ConfigError if the folder is a data set, lies in one or in another run, or holds anything
    that a run does not begin with.
    """
    run = RunFolder(path.absolute())
    there = next(part for part in (run.path, *run.path.parents) if part.exists())
    if not there.is_dir():
        raise ConfigError(f"--run {path}: {there} is a file, and a run is a folder")
    for folder in (run.path, *run.path.parents):
        if is_dataset(folder):
            where = "is" if folder == run.path else "is in"
            raise ConfigError(f"{path} {where} the data set {folder}; {ELSEWHERE}")
    for folder in run.path.parents:
        if _is_run(folder):
            raise ConfigError(f"{path} is in the run {folder}; {ELSEWHERE}")
    if run.path.exists() and not _is_run(run.path) and (found := _foreign(run)):
        runs = [name for name in found if _is_run(run.path / name)]
        what = f"the runs {some_of(runs)}" if runs else some_of(found)
        hint = f"give one of them, or a new folder such as {path / 'new'}" if runs else ELSEWHERE
        raise ConfigError(f"{path} is no run: it holds {what}; {hint}")
    return run


def _is_run(folder: Path) -> bool:
    """Whether a run was begun in a folder; a damaged one counts."""
    return RunFolder(folder).events.is_file() or any(folder.glob("stages/[0-9]*/spec.json"))


def _foreign(run: RunFolder) -> list[str]:
    """What is in a folder besides the files of a run whose start was interrupted."""
    own = {run.lock_file.name, run.stop.name}
    return sorted(
        name for name in os.listdir(run.path) if name not in own and not name.endswith(".tmp")
    )
