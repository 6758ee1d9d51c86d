"""Which device a rank computes on, and whether it can."""

import hashlib
import os
import re
import socket
from itertools import takewhile

import pynvml
import torch

from progan.stages.errors import StageError

GPU_NAME = re.compile(r"\s*([0-9]+|GPU-.+|MIG-.+)\s*")
"""An entry of CUDA_VISIBLE_DEVICES; CUDA ignores what comes after one that names no GPU."""
BF16_CAPABILITY = (8, 0)


def own_device() -> torch.device:
    """The GPU of this rank, made the current one; the CPU where there are none.

    StageError if torch cannot use the GPUs, or another rank has this one already.
    """
    if problem := unusable_gpus():
        raise StageError(problem)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # A scheduler may show each of its tasks only the task's own GPUs, which start at 0.
    index = int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        _claim(index)
    os.environ["LOCAL_RANK"] = str(index)  # DeepSpeed takes it for the index of the device
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    return device


def unusable_gpus() -> str | None:
    """Why torch cannot use this machine's GPUs, and what to do; None if it can or has none."""
    count = _count_gpus()
    if not count or torch.cuda.is_available():
        return None
    if torch.version.cuda is None and torch.version.hip is None:
        reason = f"torch {torch.__version__} is built for CPUs"
    else:
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]
            reason = "it does not say why"
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
    return (
        f"torch cannot use the GPUs ({count}) of {socket.gethostname()}: {reason}; install a torch "
        "that fits the driver (nvidia-smi shows its version; pytorch.org), or set "
        "CUDA_VISIBLE_DEVICES= to compute on the CPU"
    )


def require_precision(device: torch.device, precision: str) -> None:
    """StageError if the device is a GPU without bf16, and that is the precision."""
    if precision != "bf16" or device.type != "cuda":
        return
    capability = torch.cuda.get_device_capability(device)
    if capability < BF16_CAPABILITY:
        raise StageError(
            f"engine.precision: bf16 needs compute capability 8.0, and "
            f"{torch.cuda.get_device_name(device)} on {socket.gethostname()} has "
            f"{'.'.join(map(str, capability))}; set fp16 or fp32, in a new run"
        )


def _count_gpus() -> int:
    """The GPUs that CUDA_VISIBLE_DEVICES names; those of the driver if it is not set."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len(list(takewhile(GPU_NAME.fullmatch, visible.split(","))))
    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0


def _claim(index: int) -> None:
    """Take a GPU until this process ends; StageError if a rank of the same job has it.

    An abstract socket has one holder on a host, and is freed however that ends.
    """
    gpu = torch.cuda.get_device_properties(index).uuid
    job = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT")
    key = hashlib.sha256(repr((job, str(gpu), index)).encode()).hexdigest()
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0progan-gpu-{key}")
    except OSError as error:
        claim.close()
        ranks = os.environ.get("LOCAL_WORLD_SIZE", "several")
        raise StageError(
            f"of the {ranks} ranks on {socket.gethostname()} another one computes on GPU {index} "
            f"already, and this one sees only {torch.cuda.device_count()}: set "
            "launch.gpus_per_node (over ssh the hostfile's slots) to the number of GPUs, or "
            "CUDA_VISIBLE_DEVICES to as many as there are ranks"
        ) from error
    claim.detach()
