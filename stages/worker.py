"""progan-worker: one rank of one stage. Launchers start it; it needs nothing but a spec.json.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 bad data, 75 stopped on request (SIGTERM, SIGINT,
SIGHUP or SIGUSR1 to any rank, or a file RUN/STOP), 76 rolled back after a divergence: after the
last two, started again, it goes on.
"""

import argparse
import ctypes
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

from pydantic import ValidationError

from progan.datasets.errors import DataError
from progan.stages.distributed.rank_environment import own_environment
from progan.stages.errors import RolledBackError, StageError, StoppedOnRequestError
from progan.stages.specs.base import first_problem
from progan.stages.storage.rollback import EXIT_ROLLED_BACK
from progan.stages.storage.spec_file import read_spec
from progan.stages.storage.stage_folder import StageFolder
from progan.stages.training.lazy_imports import leave_out_mlflow
from progan.stages.training.stop_request import EXIT_STOPPED, StopRequest

LAUNCHERS = {"TORCHELASTIC_RUN_ID", "CROSS_RANK"}
"""Environment variables that torchrun and DeepSpeed's launcher set for the workers."""


def main() -> None:
    """Train the stage that `--spec` describes, or the rest of it."""
    parser = argparse.ArgumentParser(prog="progan-worker", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="spec.json in a stage's folder")
    path: Path = parser.parse_args().spec.absolute()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    die_with_launcher()
    own_environment()
    folder = StageFolder(path.parent)
    stop = StopRequest(folder.stop)
    stop.listen()
    try:
        spec = read_spec(path)
        if spec.grown_from and not spec.grown_from.exists():
            raise StageError(f"the stage before is not done: {spec.grown_from} is not there")
        leave_out_mlflow()
        from progan.stages.training.job import run_stage

        run_stage(
            spec, folder, stop, give_up=lambda message: report(folder, message, 1, transient=True)
        )
    except StoppedOnRequestError as error:
        report(folder, str(error), EXIT_STOPPED)
    except RolledBackError as error:
        report(folder, str(error), EXIT_ROLLED_BACK)
    except DataError as error:
        report(folder, str(error), 3)
    except StageError as error:
        report(folder, str(error), 1)
    except ValidationError as error:  # of a document: it will be the same next time
        report(folder, f"{error.title}: {first_problem(error)}", 1)
    except Exception as error:
        traceback.print_exc()
        report(folder, f"{type(error).__name__}: {error}", 1, transient=True)
    leave(0)


def report(folder: StageFolder, message: str, code: int, *, transient: bool = False) -> None:
    """Write the cause of the failure for the orchestrator, and end the process.

    `transient`: a cause that may be gone when the stage is started again, as a lost machine or full
    memory. Only the first rank to fail writes; the others mostly fail because it is gone.
    """
    print(f"progan-worker: {message}", file=sys.stderr)
    rank = int(os.environ.get("RANK", 0))
    failure = {"message": message, "rank": rank, "code": code, "transient": transient}
    try:
        with folder.failure.open("x") as file:
            json.dump(failure, file)
    except OSError:
        pass
    leave(code)


def leave(code: int) -> None:
    """End this process without an orderly shutdown.

    A shutdown would wait for ranks that wait for this one, and gloo's threads abort the process if
    they run while the interpreter shuts down.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def die_with_launcher() -> None:
    """Have the kernel kill this process when the launcher that started it dies, however it dies.

    torchrun starts workers in their own sessions, and killing DeepSpeed's launcher leaves its
    workers running: two sets of workers could write one stage. Linux only; without one of these
    launchers this does nothing.
    """
    if sys.platform == "linux" and LAUNCHERS & os.environ.keys():
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
