"""The image: built by buildah, and progan's own check of its environment runs in it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import progan
from required import require

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "localhost/progan-under-test"


def buildah(*words: str) -> str:
    """What buildah prints. Its storage and isolation are those that its variables name."""
    argv = ["buildah", *words]
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    require("buildah", None if shutil.which("buildah") else "buildah is not installed")
    version = f"--build-arg=VERSION={progan.__version__}"
    buildah("build", "--pull=missing", "--layers", version, "--tag", IMAGE, ".")
    name = buildah("from", "--pull=never", IMAGE).strip()
    yield name
    buildah("rm", name)
    buildah("rmi", IMAGE)


@pytest.mark.nightly
def test_doctor_is_content_in_the_image(container: str) -> None:
    report = json.loads(buildah("run", container, "--", "progan", "doctor", "--json"))
    found = {finding["subject"]: finding for finding in report["findings"]}
    assert "/opt/progan/bin/python" in found["python"]["found"]
    assert [name for name, each in found.items() if each["state"] == "missing"] == []


@pytest.mark.nightly
def test_nobody_is_root_and_labels_name_the_version(container: str) -> None:
    assert buildah("run", container, "--", "id", "-u").strip() == "1000"
    labels = json.loads(buildah("inspect", container))["OCIv1"]["config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == progan.__version__
