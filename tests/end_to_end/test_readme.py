"""Every command of README.md runs as it is written there, in its order, in one folder.

What a command lacks is made before (`before`), placeholders are replaced (`names`), and words are
added (`added`) that make schedules short and networks narrow. A new line of README fails the last
tests until it is in LINES, INLINE or NOT_RUN.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imported import save_pickle
from measured import save_untrained_inception
from progan.datasets.synthetic import draw_dataset
from progan.pipeline.run.orchestrator import read_progress
from progan.pipeline.run_folder import RunFolder
from soak import end, workers
from workers import BIN

README = Path(__file__).resolve().parents[2] / "README.md"
NARROW = "model.latent=16 model.fmap_base=1024 model.fmap_max=16"
SHORT = (
    "batch=16 growth.fade_kimg=0.064 growth.steady_kimg=0.064 ticks.kimg=0.064 ticks.grid=2 "
    "metrics.images=16"
)
SMALL = f"{NARROW} {SHORT}"
STOP = "touch runs/photos/STOP"
LONGEST_SECONDS = 900

Shell = Callable[..., str]
"""Runs a line in the folder; returns its output, both streams"""


@dataclass(frozen=True)
class Step:
    """How a line of README is run."""

    added: str = ""
    names: dict[str, str] = field(default_factory=dict)
    """What stands for its placeholders"""
    before: Callable[[Shell, Path], str | None] = lambda shell, folder: None
    """Makes what the line needs; may return words to add"""
    makes: str | None = None
    """A file or folder"""
    stops: bool = False
    """It trains for long: it is stopped, as README says"""

    def words(self, line: str) -> str:
        for name, value in self.names.items():
            line = re.sub(rf"\b{name}\b", value, line)
        return f"{line} {self.added}".strip()


def prepare_drawn(shell: Shell, folder: Path) -> None:
    """data/drawn, and photos.zip: 64 pictures of 256x256."""
    draw_dataset(folder / "drawn", num=64, size=256)
    shutil.make_archive(str(folder / "photos"), "zip", folder / "drawn")
    shell("progan prepare drawn data/drawn --resolution 32")


def prepare_again(shell: Shell, folder: Path) -> None:
    """data/photos-256: the same pictures."""
    shell("progan prepare photos.zip data/photos-256 --resolution 256")


def length_so_far(shell: Shell, folder: Path) -> str:
    """Words that let stage 128 end soon after what it has shown."""
    shown = RunFolder(folder / "runs/photos").stage(128).newest_checkpoint
    return f"growth.steady_kimg.128={(shown + 64) / 1000}"


def untrained_inception(shell: Shell, folder: Path) -> None:
    """inception.pth, of the size of the real one."""
    save_untrained_inception(folder / "inception.pth")


def train_animals(shell: Shell, folder: Path) -> None:
    """models/animals: a class-conditional generator of cats and dogs, which are drawn shapes."""
    for shape, animal in (("disc", "cat"), ("star", "dog")):
        shutil.copytree(folder / "drawn" / shape, folder / "animals" / animal)
    shell("progan prepare animals data/animals --resolution 8")
    shell(f"progan train shapes-32 data.path=data/animals --run runs/animals {SMALL} growth.last=8"
          " model.classes=2 model.discriminator.head=acgan")  # fmt: skip
    shell("progan export runs/animals models/animals")


def save_official_pickle(shell: Shell, folder: Path) -> None:
    """network.pkl: random networks of 16x16 pictures."""
    with pytest.MonkeyPatch.context() as patch:
        save_pickle(folder / "network.pkl", patch, resolution=16)


def write_mine(shell: Shell, folder: Path) -> str:
    """mine.yaml; returns the keys that the import prints."""
    words = f"data.path=data/photos growth.last=32 {SHORT}"
    text = shell(f"progan config shapes-32 {words} 2>/dev/null")
    (folder / "mine.yaml").write_text(text)
    printed = shell("progan import network.pkl again --from tensorflow")
    keys = printed.partition("to continue training: ")[2].split()
    return " ".join(key for key in keys if not key.startswith("model.init="))


LINES = {
    'progan train recommended-32 data.path=DATASET "model={latent: 128, fmap_base: 1024, fmap_max: '
    '64}" growth.fade_kimg=40 "growth.steady_kimg={16: 40, 32: 200}" ticks.kimg=10 '
    "launch.gpus_per_node=1": Step(
        names={"DATASET": "data/drawn"}, before=prepare_drawn, added=SMALL,
        makes="runs/recommended-32/stages/0032/final",
    ),
    "progan prepare photos.zip data/photos --resolution 128": Step(
        makes="data/photos/manifest.json"
    ),
    "progan data info data/photos": Step(),
    "progan data preview data/photos pyramid.png": Step(makes="pyramid.png"),
    "progan plan recommended-32 data.path=data/photos --time": Step(),
    "progan train recommended-32 data.path=data/photos --run runs/photos": Step(
        added=SMALL, makes="runs/photos/stages/0032/final"
    ),
    "progan status runs/photos --watch": Step(),
    "progan resume runs/photos": Step(),
    "progan resume runs/photos launch.gpus_per_node=4": Step(),
    "progan resume runs/photos growth.last=128": Step(
        added="launch.gpus_per_node=1", makes="runs/photos/stages/0128/final"
    ),
    "progan resume runs/photos --stage 32": Step(makes="runs/photos/superseded"),
    "progan resume runs/photos growth.steady_kimg.128=4000": Step(stops=True),
    "progan resume runs/photos optimizer.lr.128=0.0005 --change": Step(before=length_so_far),
    "progan resume runs/photos data.path=data/photos-256 growth.last=256": Step(
        before=prepare_again, makes="runs/photos/stages/0256/final"
    ),
    "progan report runs/photos": Step(makes="runs/photos/report.html"),
    "progan timelapse runs/photos growth.mp4": Step(makes="growth.mp4"),
    "progan evaluate runs/photos": Step(makes="runs/photos/stages/0256/evaluation.json"),
    "progan evaluate runs/photos --at 256": Step(),
    "progan evaluate runs/photos --metrics fid,kid --inception-weights FILE": Step(
        before=untrained_inception, names={"FILE": "inception.pth"}, added="--stage 16"
    ),
    "progan export runs/photos models/photos": Step(makes="models/photos/generator.py"),
    "python models/photos/generator.py grid.png --num 16": Step(makes="grid.png"),
    # At 256x256 so few feature maps amplify rounding to more than the check of an export allows.
    "progan export runs/photos out --format onnx --format mlflow": Step(
        added="--stage 64", makes="out/onnx"
    ),
    "progan generate models/photos grid.png --num 64 --seed 0": Step(makes="grid.png"),
    "progan generate runs/photos now.png": Step(makes="now.png"),
    "progan generate models/photos best/ --seeds 0-63,100 --truncation 1.5": Step(makes="best"),
    "progan generate models/animals cats.png --class cat": Step(
        before=train_animals, makes="cats.png"
    ),
    "progan interpolate models/photos loop.mp4 --grid 3": Step(makes="loop.mp4"),
    "progan import network.pkl models/celeba --from tensorflow": Step(
        before=save_official_pickle, makes="models/celeba"
    ),
    "progan train mine.yaml model.init=models/celeba growth.first=1024": Step(
        before=write_mine, makes="runs/mine/stages/0032/final"
    ),
}  # fmt: skip

NAMES = {
    "RUN": "runs/recommended-32",
    "MODEL": "models/photos",
    "DATASET": "data/photos",
    "CONFIG": "recommended-32",
}
INLINE = {
    "progan doctor": Step(),
    "progan prepare --help": Step(),
    "progan presets": Step(),
    "progan config CONFIG": Step(names=NAMES),
    "progan config --schema": Step(),
    "progan plan CONFIG": Step(names=NAMES),
    "progan status RUN": Step(names=NAMES),
    "progan --debug COMMAND": Step(names={"COMMAND": "presets"}),
    'eval "$(_PROGAN_COMPLETE=bash_source progan)"': Step(),
    "progan prepare --channels 1": Step(added="photos.zip data/grey --resolution 16"),
    "progan evaluate RUN --at 32 --images 1024": Step(names=NAMES, added="--images 16"),
    "progan generate MODEL grid.png --num 64 --seed 0": Step(names=NAMES, makes="grid.png"),
    "progan track RUN --to tensorboard": Step(names=NAMES, makes="runs/recommended-32/tensorboard"),
    "progan pretrain DATASET ENCODER": Step(
        names=NAMES | {"ENCODER": "encoder"}, makes="encoder/encoder.safetensors",
        added="--resolution 16 --kimg 0.064 --batch 16 --fmap-base 64 --fmap-max 8",
    ),
    "progan train dcgan-64": Step(
        added=f"data.path=data/photos {SHORT} model.fmap_base=512 model.fmap_max=16 batch=64",
        makes="runs/dcgan-64/stages/0064/final",
    ),
}  # fmt: skip
SERVERS = {
    "progan report RUN --serve": Step(names=NAMES, added="--port"),
    "mlflow ui --backend-store-uri sqlite:///runs/mlflow.db": Step(added="--port"),
}
NOT_RUN = {
    "make demo": "minutes, in a new environment",
    "make test": "it runs these tests",
    "make install": "makes an environment",
    "pip install .": "changes the environment",
    "pip install '.[tensorboard]'": "changes the environment",
    "pip install '.[hf]'": "changes the environment",
    "docker run --ipc=host": "needs Docker",
    "progan export RUN s3://...": "needs a bucket: tests/pipeline/cli/test_urls.py",
    "progan prepare PICTURES s3://...": "needs a bucket: tests/pipeline/cli/test_urls.py",
    "progan export RUN MODEL --format huggingface --push USER/NAME --license mit":
        "needs the Hub: tests/pipeline/exports/test_hub.py",
    "progan generate hf://USER/NAME grid.png": "needs the Hub: tests/pipeline/exports/test_hub.py",
    "python benchmarks/step.py --peers DIR --precisions bf16 --resolutions N --batch 16":
        "needs other programs",
    "python benchmarks/device_calls.py": "needs a compiler: tests/stages/gpu",
    "progan train": "the name of a command",
    STOP: "run while a step trains (Step.stops)",
}  # fmt: skip

FENCE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TREES = ("## A run's folder", "## Repository layout")
"""Sections whose blocks are no commands"""
PROGRAM = re.compile(r"(progan|python|mlflow|touch|eval|make|pip|docker) ")
COMMENT = re.compile(r"\s+#.*")


def shell_lines(text: str) -> list[str]:
    """The commands in README's blocks."""
    sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    blocks = [
        block
        for section in sections
        if not section.startswith(TREES)
        for block in FENCE.findall(section)
    ]
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [" ".join(found.split()) for line in lines if (found := COMMENT.sub("", f" {line}"))]


def spans(text: str) -> list[str]:
    """The commands in README's sentences."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))
    return [span for span in found if PROGRAM.match(span)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where all lines run; what still runs there at the end is killed."""
    folder = tmp_path_factory.mktemp("readme")
    yield folder
    end(workers(RunFolder(folder), ""))


@contextmanager
def begun(line: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A line in a shell, with its processes killed at the end if they still run."""
    with subprocess.Popen(
        ["bash", "-c", line], cwd=folder, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def shell(folder: Path) -> Shell:
    def run(line: str, code: int = 0) -> str:
        with begun(line, folder) as process:
            output, _ = process.communicate(timeout=LONGEST_SECONDS)
        assert process.returncode == code, f"{line}\n{output}"
        return output

    return run


def run_and_stop(line: str, shell: Shell, folder: Path) -> None:
    """Train until stage 128 has shown pictures, and stop."""
    stage = RunFolder(folder / "runs/photos").stage(128)
    begin = time.time()
    with begun(line, folder) as process:
        while (at := read_progress(stage)) is None or at["time"] < begin or not at["images_seen"]:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.1)
        shell(STOP)
        output, _ = process.communicate(timeout=LONGEST_SECONDS)
    assert process.returncode == 75, output


@pytest.mark.nightly
@pytest.mark.parametrize(("line", "step"), (LINES | INLINE).items(), ids=(LINES | INLINE).keys())
def test_line_runs(line: str, step: Step, shell: Shell, folder: Path) -> None:
    words = f"{step.words(line)} {step.before(shell, folder) or ''}"
    if step.stops:
        run_and_stop(words, shell, folder)
    else:
        shell(words)
    assert step.makes is None or (folder / step.makes).exists()


@pytest.mark.nightly
@pytest.mark.parametrize(("line", "step"), SERVERS.items(), ids=SERVERS.keys())
def test_page_is_served(line: str, step: Step, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with begun(f"exec {step.words(line)} {port}", folder) as process:
        deadline = time.monotonic() + 200
        while not (page := answer(port)):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.5)
    assert b"<html" in page


def answer(port: int) -> bytes | None:
    """The page at a port, once there is one."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as found:
            return bytes(found.read())
    except OSError:
        return None


def test_every_shell_line_of_readme_is_run_or_named() -> None:
    assert [line for line in shell_lines(README.read_text()) if line not in LINES | NOT_RUN] == []


def test_lines_run_in_the_order_of_readme() -> None:
    assert [line for line in shell_lines(README.read_text()) if line in LINES] == list(LINES)


def test_every_command_in_a_sentence_of_readme_is_run_or_named() -> None:
    known = LINES | INLINE | SERVERS | NOT_RUN
    assert [span for span in spans(README.read_text()) if span not in known] == []


def test_nothing_is_named_that_readme_no_longer_has() -> None:
    text = README.read_text()
    found = {*shell_lines(text), *spans(text)}
    assert [line for line in LINES | INLINE | SERVERS | NOT_RUN if line not in found] == []
