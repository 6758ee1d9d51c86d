"""Kill a small run again and again; it must end with the bytes of a run that was never killed.

    python tests/helpers/programs/soak.py --kills 50

A run of two stages, 4x4 and 8x8, is started with `progan train`, killed at a random moment in a
random way, and started again with the same command until it is finished; then the next run begins.
Every checkpoint, every hand-off and every figure is compared with an undisturbed run.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from rich.progress import Progress  # noqa: TID251

from progan.datasets.build.prepare import prepare
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.run_folder import RunFolder
from workers import BIN, checkpoints, content, figures

CONFIG = """
data: {path: %s}
model: {latent: 16, fmap_base: 64, fmap_max: 16}
growth: {first: 4, last: 8, fade_kimg: 1.6, steady_kimg: 1.28}
batch: 16
ema: {half_life_kimg: 0.2}
engine: {precision: fp32}
checkpoint: {every_minutes: null, every_kimg: 0.32, keep_every_kimg: 0.32}
ticks: {kimg: 0.32, grid: 4}
tracking: {mlflow: "off"}
launch: {max_restarts: 0}
"""
STAGES = (4, 8)
LONGEST_SECONDS = 16.0
PATIENCE_SECONDS = 60.0


class Soak:
    """Runs in one folder, all of one configuration, killed as `plan` says."""

    def __init__(self, folder: Path, dataset: Path, plan: Iterator["Kill"]) -> None:
        self.folder = folder
        self.plan = plan
        self.config = folder / "soak.yaml"
        self.config.write_text(CONFIG % dataset)
        self.kinds: Counter[str] = Counter()
        """How often each kind of kill was done"""
        self.runs = 0
        """Finished and compared"""

    def undisturbed(self) -> RunFolder:
        """The run to compare with."""
        assert self._start("undisturbed").wait(300) == 0
        return RunFolder(self.folder / "undisturbed")

    def kill(self, kills: int, report: Callable[[int], None] = lambda done: None) -> None:
        """Kill `kills` times; AssertionError if any run ends with other bytes."""
        expected = self.undisturbed()
        done = 0
        while done < kills:
            run = RunFolder(self.folder / f"run-{self.runs:02}")
            while (code := self._run_and_kill(run, wanted=done < kills)) != 0:
                assert code is None or code in (1, 75, -9), f"progan train ended with {code}"
                done += code is None
                report(done)
            assert_same(run, expected)
            self.runs += 1

    def _start(self, name: str) -> "subprocess.Popen[Any]":
        argv = [str(BIN / "progan"), "train", str(self.config), "--run", name]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(argv, cwd=self.folder, stdout=log, stderr=log)

    def _run_and_kill(self, run: RunFolder, wanted: bool) -> int | None:
        """The exit code of a run that ended by itself; None if something was killed in it."""
        process = self._start(run.name)
        if not wanted:
            return process.wait(300)
        moment, victims = next(self.plan)
        reached = wait_for(moment, run, process)
        if not reached or process.poll() is not None:
            return process.wait(PATIENCE_SECONDS)
        victims(process, run)
        name = "after a while" if isinstance(moment, float) else moment.__name__
        self.kinds[f"{victims.__name__} {name}".replace("_", " ")] += 1
        process.wait(PATIENCE_SECONDS)
        return None


Moment = float | Callable[[RunFolder], bool]
"""Seconds after the start, or a condition"""
Victims = Callable[["subprocess.Popen[Any]", RunFolder], None]
Kill = tuple[Moment, Victims]


def random_plan(seed: int) -> Iterator[Kill]:
    """Two fifths of the kills at half-written files, the others at any moment."""
    chosen = random.Random(seed)
    while True:
        seconds = chosen.uniform(0, LONGEST_SECONDS)
        moments: list[Moment] = [*[seconds] * 3, writing_checkpoint, handing_off]
        victims = [a_rank, all_ranks, launcher, orchestrator, everything, asked]
        yield chosen.choice(moments), chosen.choice(victims)


def wait_for(moment: Moment, run: RunFolder, process: "subprocess.Popen[Any]") -> bool:
    """Whether a moment came before the run ended."""
    if isinstance(moment, float):
        time.sleep(moment)
        return True
    while process.poll() is None:
        if moment(run):
            return True
        time.sleep(0.0005)
    return False


def writing_checkpoint(run: RunFolder) -> bool:
    """A checkpoint is half written."""
    return any(list(run.stage(r).checkpoints.glob(".*.tmp")) for r in STAGES)


def handing_off(run: RunFolder) -> bool:
    """A stage's result is half written."""
    return any((run.stage(r).path / ".final.tmp").exists() for r in STAGES)


def workers(run: RunFolder, program: str) -> list[psutil.Process]:
    """The processes of a run that run a program."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(str(run.path) in word for word in words) and program in " ".join(words[:2]):
            found.append(process)
    return found


def end(processes: list[psutil.Process]) -> None:
    """SIGKILL."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass


def a_rank(process: "subprocess.Popen[Any]", run: RunFolder) -> None:
    """One worker; before any has started, the orchestrator."""
    end(workers(run, "progan-worker")[-1:] or [psutil.Process(process.pid)])


def all_ranks(process: "subprocess.Popen[Any]", run: RunFolder) -> None:
    """All workers; before any has started, the orchestrator."""
    end(workers(run, "progan-worker") or [psutil.Process(process.pid)])


def launcher(process: "subprocess.Popen[Any]", run: RunFolder) -> None:
    """torchrun; before it has started, the orchestrator."""
    end(workers(run, "torchrun") or [psutil.Process(process.pid)])


def orchestrator(process: "subprocess.Popen[Any]", run: RunFolder) -> None:
    """`progan train` alone: the workers go on."""
    process.kill()


def everything(process: "subprocess.Popen[Any]", run: RunFolder) -> None:
    """The orchestrator, torchrun and the workers, as a power cut would."""
    process.kill()
    end(workers(run, ""))


def asked(process: "subprocess.Popen[Any]", run: RunFolder) -> None:
    """SIGTERM, as a scheduler would."""
    process.terminate()


def assert_same(run: RunFolder, expected: RunFolder) -> None:
    """Every file of training has the same bytes, but for times."""
    for resolution in STAGES:
        found, wanted = run.stage(resolution), expected.stage(resolution)
        assert content(found.final) == content(wanted.final)
        assert figures(found) == figures(wanted)
        assert set(checkpoints(found)) >= set(checkpoints(wanted))
        for images_seen in checkpoints(wanted):
            assert content(found.checkpoint(images_seen)) == content(wanted.checkpoint(images_seen))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="progan-soak-"))
    print(f"seed {arguments.seed}, in {folder}", file=sys.stderr)
    draw_dataset(folder / "pictures", num=96, size=16)
    prepare(folder / "pictures", folder / "dataset", 16)
    soak = Soak(folder, folder / "dataset", random_plan(arguments.seed))
    with Progress() as progress:
        bar = progress.add_task("kills", total=arguments.kills)
        soak.kill(arguments.kills, lambda done: progress.update(bar, completed=done))
    print(f"{arguments.kills} kills in {soak.runs} runs, all with the same bytes:")
    for kind, count in sorted(soak.kinds.items()):
        print(f"  {count:3} {kind}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
