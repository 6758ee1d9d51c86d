"""GPUs as the driver tells of them, on a machine that may have none."""

from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from progan.launch import devices
from progan.launch.devices import bf16_units, count_gpus, gpu_capabilities, gpu_memory_bytes

GPUS = {0: 11, 1: 80, "GPU-aa": 80}


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver with a GPU of 11 bytes and one of 80, also known as GPU-aa."""

    def handle(name: int | str) -> int:
        if name not in GPUS:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return GPUS[name]

    for name in ("nvmlInit", "nvmlShutdown"):
        monkeypatch.setattr(pynvml, name, lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", handle)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", handle)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda gpu: SimpleNamespace(total=gpu))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCudaComputeCapability", lambda gpu: [gpu // 10, 0])


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, [11, 80]), ("1", [80]), ("GPU-aa,0", [80, 11]), ("", []), ("7", []), ("-1", [])],
)
def test_the_memory_of_the_gpus_that_a_process_would_see(
    visible: str | None, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_memory_bytes() == expected
    assert gpu_capabilities() == [(size // 10, 0) for size in expected]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("0,1", 2), ("GPU-aa,MIG-bb", 2), ("0, 1", 2), ("2,-1,3", 1), ("NoDevFiles", 0), ("", 0)],
)
def test_variable_of_the_ranks_says_which_gpus_are_counted(visible: str, expected: int) -> None:
    assert count_gpus({"CUDA_VISIBLE_DEVICES": visible}) == expected


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512_bf16 amx_bf16\n", "AMX"),
        ("vendor_id\t: AuthenticAMD\nflags\t\t: avx512f avx512_bf16\n", "AVX512_BF16"),
        ("vendor_id\t: GenuineIntel\nflags\t\t: avx512_bf16 amx_tile\n", None),
        ("flags\t\t: avx512f avx512_vnni\n", None),
        ("Features\t: fp asimd bf16\n", None),
        (None, None),
    ],
)
def test_units_for_bf16_are_known_by_vendor_and_flags(
    cpuinfo: str | None, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "CPUINFO", tmp_path / "cpuinfo")
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert bf16_units() == expected


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpu_memory_bytes() == []
