"""`progan doctor`."""

from pathlib import Path

import pytest

from progan.pipeline.cli import doctor
from progan.pipeline.cli.doctor import ABSENT, FAILED, OK, examine


def states(folder: Path) -> dict[str, str]:
    return {f["subject"]: f["state"] for f in examine(folder)["findings"]}


def test_complete_environment_is_ok(tmp_path: Path) -> None:
    found = states(tmp_path)
    assert {found[name] for name in (*doctor.PACKAGES, "torchrun", "gloo")} == {OK}
    assert found["GPUs"] == ABSENT
    assert FAILED not in found.values()


def test_missing_packages_and_programs_come_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    monkeypatch.setattr(doctor, "EXTRAS", {"no-such-extra": ("films", "moving pictures")})
    monkeypatch.setattr(doctor, "PROGRAMS", {"no-such-launcher": "ask your cluster's people"})
    findings = {f["subject"]: f for f in examine(tmp_path)["findings"]}
    assert findings["no-such-package"]["state"] == FAILED
    assert findings["no-such-package"]["advice"] == "pip install no-such-package"
    assert findings["no-such-extra"]["state"] == ABSENT
    assert findings["no-such-extra"]["advice"] == "moving pictures: pip install 'progan[films]'"
    assert findings["no-such-launcher"]["state"] == ABSENT
    assert findings["no-such-launcher"]["advice"] == "ask your cluster's people"


def test_full_disk_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_DISK_BYTES", 2**80)
    assert states(tmp_path)[str(tmp_path)] == FAILED
