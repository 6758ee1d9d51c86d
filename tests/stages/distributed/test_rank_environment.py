"""A rank's environment is its launcher's, not the shell's."""

import os
from pathlib import Path

import pytest

from progan.stages.distributed.rank_environment import own_environment
from progan.stages.specs.stage import GrowthSpec
from workers import run, spec

MPI = {
    "OMPI_COMM_WORLD_LOCAL_RANK": "3", "OMPI_COMM_WORLD_RANK": "7", "OMPI_COMM_WORLD_SIZE": "8",
    "PMI_RANK": "7", "PMIX_RANK": "7", "DS_ACCELERATOR": "xpu", "AZUREML_EXPERIMENT_ID": "1",
}  # fmt: skip


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_other_launchers_variables_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, MPI | {"SLURM_PROCID": "1", "NCCL_DEBUG": "INFO"})
    own_environment()
    assert not MPI.keys() & os.environ.keys()
    assert {"SLURM_PROCID", "NCCL_DEBUG"} <= os.environ.keys()


@pytest.mark.slow
def test_stage_is_trained_inside_an_allocation_of_mpi(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, {name: value for name, value in MPI.items() if "MPI" in name})
    growth = GrowthSpec(fade_images=0, steady_images=32)
    assert run(spec(shapes, growth=growth), tmp_path / "stage", ranks=1).final.exists()


@pytest.mark.parametrize(
    ("visible", "local_rank", "expected"),
    [
        ("MIG-a, MIG-b", "1", "MIG-b"),
        ("MIG-a", "1", "MIG-a"),
        ("GPU-a,GPU-b", "1", "GPU-a,GPU-b"),
        ("0,1", "0", "0,1"),
        ("", "0", ""),
    ],
)
def test_rank_keeps_its_mig_slice(
    visible: str, local_rank: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, {"CUDA_VISIBLE_DEVICES": visible, "LOCAL_RANK": local_rank})
    own_environment()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == expected


@pytest.mark.parametrize(("on_this_machine", "expected"), [("4", "127.0.0.1"), ("2", "n1")])
def test_ranks_of_one_machine_meet_at_the_loopback_address(
    on_this_machine: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(
        monkeypatch,
        {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": on_this_machine, "MASTER_ADDR": "n1"},
    )
    own_environment()
    assert os.environ["MASTER_ADDR"] == expected
