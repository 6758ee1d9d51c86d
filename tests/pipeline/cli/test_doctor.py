"""`progan doctor`."""

from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
import torch

from progan.pipeline.cli import doctor
from progan.pipeline.cli.doctor import ABSENT, FAILED, OK, examine
from progan.pipeline.run.terminal import Terminal


def states(folder: Path) -> dict[str, str]:
    return {f["subject"]: f["state"] for f in examine(folder)["findings"]}


def require(monkeypatch: pytest.MonkeyPatch, *requirements: str, **installed: str) -> None:
    """progan's metadata has these requirements, and these packages are installed."""

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(doctor, "requires", lambda name: list(requirements))
    monkeypatch.setattr(doctor, "version", version)


def test_complete_environment_is_ok(tmp_path: Path) -> None:
    found = states(tmp_path)
    assert {found[name] for name in ("torch", "mlflow", "rich", "torchrun", "gloo")} == {OK}
    assert found["GPUs"] == ABSENT
    assert FAILED not in found.values()


@pytest.mark.parametrize(
    ("requirement", "installed", "state", "found", "advice"),
    [
        ("torch<2.16,>=2.8", "2.9.1+cu126", OK, "2.9.1+cu126", ""),
        ("torch<2.16,>=2.8", "2.16.0", FAILED, "2.16.0, too new", "pip install 'torch<2.16,>=2.8'"),
        ("torch<2.16,>=2.8", "2.7.1", FAILED, "2.7.1, too old", "pip install 'torch<2.16,>=2.8'"),
        ("torch>=2.8", None, FAILED, "not installed", "pip install 'torch>=2.8'"),
        ('torch>=2.8; extra == "onnx"', "2.7", FAILED, "2.7, too old", "pip install 'torch>=2.8'"),
        ('torch; extra == "onnx"', None, ABSENT, "not installed",
         "progan export --format onnx: pip install 'progan[onnx]'"),
    ],
)  # fmt: skip
def test_versions_are_compared_with_the_metadata(
    requirement: str, installed: str | None, state: str, found: str, advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    require(monkeypatch, requirement, **({"torch": installed} if installed else {}))
    (finding,) = doctor.check_packages()
    assert (finding.state, finding.found, finding.advice) == (state, found, advice)


def test_extras_have_a_use_and_are_shown_whole() -> None:
    extras = set(metadata("progan").get_all("Provides-Extra") or ()) - {"docs", "test"}
    assert doctor.EXTRAS.keys() == extras
    finding = {"subject": "x", "state": ABSENT, "found": "", "advice": "pip install 'progan[dask]'"}
    terminal = Terminal(width=100)
    with terminal.capture() as capture:
        terminal.print(doctor.doctor_table({"findings": [finding]}))
    assert "'progan[dask]'" in capture.get()


def test_missing_programs_come_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PROGRAMS", {"no-such-launcher": "ask your cluster's people"})
    findings = {f["subject"]: f for f in examine(tmp_path)["findings"]}
    assert findings["no-such-launcher"]["state"] == ABSENT
    assert findings["no-such-launcher"]["advice"] == "ask your cluster's people"


def test_gpus_that_torch_cannot_use_are_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (finding,) = [f for f in examine(tmp_path)["findings"] if f["subject"] == "GPUs"]
    assert finding["state"] == FAILED and "cannot use the GPUs (2)" in finding["found"]
    assert "CUDA_VISIBLE_DEVICES= to compute on the CPU" in finding["advice"]


def test_full_disk_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_DISK_BYTES", 2**80)
    assert states(tmp_path)[str(tmp_path)] == FAILED
