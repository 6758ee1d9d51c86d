"""How many GPUs this machine offers; without torch, whose import takes seconds."""

import os

import pynvml


def count_gpus() -> int:
    """GPUs that a process started now would see: CUDA_VISIBLE_DEVICES, else the driver's count."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        return int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()
