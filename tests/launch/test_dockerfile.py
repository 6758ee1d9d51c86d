"""The image's recipe, as far as it can be tried without a container engine."""

import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"
BIN = Path(sys.executable).parent


def context() -> list[str]:
    """What .dockerignore leaves to the build."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def copied() -> list[str]:
    """What the build stage copies from the context."""
    lines = DOCKERFILE.read_text().splitlines()
    copies = [line for line in lines if line.startswith("COPY ") and "--from" not in line]
    return [source for line in copies for source in shlex.split(line)[1:-1]]


def test_the_linter_finds_nothing() -> None:
    result = subprocess.run([BIN / "hadolint", DOCKERFILE], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_everything_copied_is_in_the_context() -> None:
    assert sorted(copied()) == sorted(context())


def test_what_is_copied_is_enough_to_build_progan(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name)
        else:
            shutil.copy(ROOT / name, source / name)
    argv = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "-w",
        str(tmp_path),
        str(source),
    ]
    subprocess.run(argv, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {"progan/launch/kubernetes.yaml", "progan/pipeline/presets/demo.yaml"} <= names
    assert "progan/stages/networks/generator.py" in names


def test_nobody_runs_as_root() -> None:
    last_stage = DOCKERFILE.read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 1000\n" in last_stage
