"""engine.precision=auto, by the machines of a run."""

import os
from pathlib import Path
from typing import Any

import pytest

from fake_ssh import FAKE_SSH
from progan.launch import devices, precision
from progan.launch.errors import UnreachableError
from progan.launch.precision import best_precision, is_slower_in_bf16, lacks_bf16
from progan.launch.spec import LaunchSpec

SLURM = {"backend": "slurm", "nodes": 2, "gpus_per_node": 4}
KUBERNETES = SLURM | {"backend": "kubernetes", "image": "i", "volume_claim": "c",
                      "volume_mount": "/m"}  # fmt: skip
ON_CPUS = {"sbatch": ["--gpus-per-node=0"]}
GPUS = {"env": {"CUDA_VISIBLE_DEVICES": "0,1"}}


def machine(
    monkeypatch: pytest.MonkeyPatch, folder: Path, flags: str, *capabilities: tuple[int, int]
) -> None:
    """This machine's CPU and GPUs."""
    (folder / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(devices, "CPUINFO", folder / "cpuinfo")
    monkeypatch.setattr(precision, "gpu_capabilities", lambda env: list(capabilities))


def launch(**fields: Any) -> LaunchSpec:
    return LaunchSpec.model_validate(fields)


@pytest.mark.parametrize(
    ("flags", "capabilities", "fields", "expected", "reason"),
    [
        ("avx512_bf16 amx_bf16", [], {}, "bf16", "the CPU has AMX"),
        ("avx512f", [], {}, "fp32", "the CPU is no faster in bf16"),
        ("amx_bf16", [(7, 5)], {}, "bf16", "the CPU has AMX"),  # whose GPUs are not visible
        ("", [(9, 0), (8, 6)], GPUS, "bf16", "the GPUs have compute capability 8.6"),
        ("amx_bf16", [(9, 0), (7, 5)], GPUS, "fp32", "a GPU has compute capability 7.5, and"),
        ("", [], GPUS, "bf16", "for GPUs"),
        ("", [], SLURM, "bf16", "for the GPUs that are asked for"),
        ("", [], KUBERNETES, "bf16", "for the GPUs that are asked for"),
        ("", [], SLURM | ON_CPUS, "fp32", "the CPU is no faster"),
        ("", [], SLURM | {"env": {"CUDA_VISIBLE_DEVICES": ""}}, "fp32", "the CPU is no faster"),
        ("amx_bf16", [], SLURM | ON_CPUS, "bf16", "the CPU has AMX"),
    ],
)
def test_bf16_where_there_are_units_for_it(
    flags: str, capabilities: list[tuple[int, int]], fields: dict[str, Any], expected: str,
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    machine(monkeypatch, tmp_path, flags, *capabilities)
    found = best_precision(launch(**fields))
    assert found.precision == expected and found.reason.startswith(reason)


def over_ssh(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> LaunchSpec:
    """A run on these hosts, which fake_ssh.py reaches or does not."""
    program = folder / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(FAKE_SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (folder / "hostfile").write_text("".join(f"{name} slots=1\n" for name in names))
    visible = {"CUDA_VISIBLE_DEVICES": "GPU-of-no-machine"}
    return launch(backend="ssh", hostfile=folder / "hostfile", env=visible)


def test_hosts_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = over_ssh(tmp_path, monkeypatch, "lost1", "localhost")
    assert best_precision(asked) == ("bf16", "for GPUs (localhost)")


def test_one_host_must_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreachableError, match="lost1 cannot be reached"):
        best_precision(over_ssh(tmp_path, monkeypatch, "lost1"))


@pytest.mark.parametrize(
    ("flags", "capabilities", "fields", "lacks", "is_slower"),
    [
        ("avx512f", [], {}, False, True),
        ("amx_bf16", [], {}, False, False),
        ("avx512f", [(9, 0)], GPUS, False, False),
        ("avx512f", [(7, 5)], GPUS, True, False),
        ("avx512f", [(7, 5)], SLURM | GPUS, False, False),
    ],
)
def test_what_is_wrong_with_bf16_here(
    flags: str, capabilities: list[tuple[int, int]], fields: dict[str, Any], lacks: bool,
    is_slower: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    machine(monkeypatch, tmp_path, flags, *capabilities)
    spec = launch(**fields)
    assert (lacks_bf16(spec) is not None, is_slower_in_bf16(spec)) == (lacks, is_slower)
