"""requirements.lock has an allowed version of everything that pyproject.toml asks for."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ASKED = sorted({*PROJECT["dependencies"], *sum(PROJECT["optional-dependencies"].values(), [])})
LOCKED = {
    canonicalize_name(pinned.name): str(pinned.specifier).removeprefix("==")
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if not line.startswith("#")
    for pinned in [Requirement(line)]
}


@pytest.mark.parametrize("asked", ASKED)
def test_locked_version_is_allowed(asked: str) -> None:
    requirement = Requirement(asked)
    assert requirement.specifier.contains(LOCKED[canonicalize_name(requirement.name)])
