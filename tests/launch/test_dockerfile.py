"""The image's recipe, as far as it can be tried without a container engine."""

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import progan

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


def copy_context(target: Path) -> None:
    """What the build stage copies, as /src."""
    target.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, symlinks=True)
        else:
            shutil.copy(ROOT / name, target / name)


def install_steps() -> list[str]:
    """The shell commands of the build stage."""
    stage = DOCKERFILE.read_text().split("\nFROM ")[1].replace("\\\n", "")
    return [line.removeprefix("RUN ") for line in stage.splitlines() if line.startswith("RUN ")]


def build_arguments() -> dict[str, str]:
    """The defaults of the build's arguments."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line.startswith("ARG ")]
    return dict(line.removeprefix("ARG ").split("=", 1) for line in lines)


def run_step(step: str, places: dict[str, str]) -> None:
    """Run a step as it stands, with the image's folders elsewhere."""
    for inside, here in places.items():
        step = step.replace(inside, here)
    subprocess.run(["sh", "-euc", step], check=True, env=os.environ | build_arguments())


def test_dependencies_have_a_layer_before_the_code(tmp_path: Path) -> None:
    text = DOCKERFILE.read_text()
    assert text.index("--requirement") < text.index("COPY pipeline")
    (step,) = [step for step in install_steps() if "tomllib" in step]
    writes_requirements, _, _ = step.rpartition("&&")
    run_step(writes_requirements, {"/opt": str(tmp_path), "/src": str(ROOT)})
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    expected = set(project["dependencies"])
    for extra in build_arguments()["EXTRAS"].split(","):
        expected |= set(project["optional-dependencies"][extra])
    assert set((tmp_path / "requirements.txt").read_text().splitlines()) == expected


@pytest.mark.slow
def test_what_is_copied_is_enough_to_build_progan(tmp_path: Path) -> None:
    copy_context(tmp_path / "src")
    argv = [sys.executable, *shlex.split("-m pip wheel --quiet --no-deps -w"), str(tmp_path)]
    subprocess.run([*argv, str(tmp_path / "src")], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    assert {
        "progan/py.typed",
        "progan/launch/scripts/kubernetes.yaml",
        "progan/pipeline/config/presets/demo.yaml",
        "progan/pipeline/exports/model_card.md",
        "progan/pipeline/report/web/page.html.j2",
        "progan/stages/networks/generator.py",
    } <= names
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    code = "import progan; print(progan.__version__, progan.__file__)"
    argv = [sys.executable, "-c", code]
    found = subprocess.check_output(argv, env=environment, text=True, cwd=tmp_path)
    assert found == f"{progan.__version__} {tmp_path}/installed/progan/__init__.py\n"
    argv = [sys.executable, "-m", "progan", "presets", "demo"]
    shown = subprocess.check_output(argv, env=environment, text=True, cwd=tmp_path)
    assert "data:" in shown


@pytest.mark.nightly
def test_the_install_steps_make_an_environment_that_works(tmp_path: Path) -> None:
    copy_context(tmp_path / "src")
    for step in install_steps():
        run_step(step, {"/opt": str(tmp_path), "/src": str(tmp_path / "src")})
    subprocess.run([tmp_path / "progan" / "bin" / "progan", "doctor"], cwd=tmp_path, check=True)
    shutil.rmtree(tmp_path / "progan")  # gigabytes


def test_nobody_runs_as_root() -> None:
    last_stage = DOCKERFILE.read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 1000\n" in last_stage
