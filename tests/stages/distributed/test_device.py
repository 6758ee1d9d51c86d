"""Which device a rank computes on, with stand-ins for torch.cuda."""

import os
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest
import torch

from progan.stages.distributed.device import own_device, require_precision, unusable_gpus
from progan.stages.errors import StageError


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a job with several ranks."""
    for name, value in {"WORLD_SIZE": "9", "LOCAL_WORLD_SIZE": "4", "LOCAL_RANK": "0",
                        "MASTER_ADDR": str(tmp_path), "MASTER_PORT": "1"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)


def see(monkeypatch: pytest.MonkeyPatch, local_rank: int, *uuids: str) -> None:
    """This process is a rank that sees these GPUs."""
    monkeypatch.setenv("LOCAL_RANK", str(local_rank))
    stand_ins = {
        "is_available": lambda: True,
        "device_count": lambda: len(uuids),
        "get_device_properties": lambda index: SimpleNamespace(uuid=uuids[index]),
        "set_device": lambda device: None,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)


@pytest.mark.usefixtures("job")
def test_ranks_of_one_launcher_take_a_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in (0, 1):
        see(monkeypatch, rank, "a", "b")
        assert own_device() == torch.device("cuda", rank)


@pytest.mark.usefixtures("job")
def test_task_that_sees_one_gpu_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, uuid in enumerate("abcd"):
        see(monkeypatch, rank, uuid)
        assert own_device() == torch.device("cuda", 0)
        assert os.environ["LOCAL_RANK"] == "0"  # what DeepSpeed takes for the device


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("gpus", ["a", "ab"])
def test_more_ranks_than_gpus_are_refused(gpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in range(len(gpus)):
        see(monkeypatch, rank, *gpus)
        own_device()
    see(monkeypatch, len(gpus), *gpus)
    with pytest.raises(StageError) as caught:
        own_device()
    assert "of the 4 ranks on" in str(caught.value)
    assert f"sees only {len(gpus)}: set launch.gpus_per_node" in str(caught.value)


@pytest.mark.parametrize("visible", ["0", "1,2", "GPU-aa", "MIG-aa,MIG-bb"])
def test_gpus_that_torch_cannot_use_are_an_error(
    visible: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def init() -> None:
        raise RuntimeError("The driver is too old.\nUpdate it.")

    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(StageError, match=r"too old\.; install a torch .* CUDA_VISIBLE_DEVICES= "):
        own_device()
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert "is built for CPUs" in str(unusable_gpus())


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles", "-1,0"])
def test_without_visible_gpus_the_cpu_is_meant(
    visible: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert own_device() == torch.device("cpu")


@pytest.mark.parametrize("count", [0, 2])
def test_driver_counts_where_no_variable_names_gpus(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: count)
    assert bool(unusable_gpus()) == bool(count)


def test_bf16_is_refused_by_gpus_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "T4")
    gpu = torch.device("cuda", 0)
    for capability in ((8, 0), (7, 5)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, c=capability: c)
        for precision in ("fp32", "fp16") if capability < (8, 0) else ("fp32", "fp16", "bf16"):
            require_precision(gpu, precision)
    with pytest.raises(StageError, match=r"T4 on .* has 7\.5; set fp16 or fp32"):
        require_precision(gpu, "bf16")
    require_precision(torch.device("cpu"), "bf16")
