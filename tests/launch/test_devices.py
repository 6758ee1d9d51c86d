"""GPUs as the driver tells of them, on a machine that may have none."""

from types import SimpleNamespace

import pynvml
import pytest

from progan.launch.devices import gpu_memory_bytes

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


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpu_memory_bytes() == []
