"""`progan doctor`: what this machine has for training, what is missing, and how to get it."""

import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from rich.box import SIMPLE
from rich.table import Table

from progan.launch.devices import bf16_units, count_gpus
from progan.pipeline.run.terminal import coloured

State = Literal["ok", "absent", "failed"]
OK: State = "ok"
ABSENT: State = "absent"
"""Not an error: only some ways of training need it"""
FAILED: State = "failed"
GIB = 2**30
MIN_DISK_BYTES = 10 * GIB
MIN_SHARED_MEMORY_BYTES = GIB // 2

EXTRAS = {
    "dask": "progan prepare --executor",
    "geometry": "geometry_score",
    "hf": "progan prepare hf:NAME; models from and to the Hugging Face Hub",
    "lmdb": "progan prepare of an LMDB",
    "metrics": "FID, KID, precision and recall, Inception score",
    "onnx": "progan export --format onnx",
    "remote": "data sets on object storage",
    "tensorboard": "tracking.tensorboard",
    "video": "films as .mp4",
    "wandb": "tracking.wandb",
}
"""What the optional packages are for"""
PROGRAMS = {
    "torchrun": "starts the ranks on one machine; comes with torch",
    "ssh": "ssh backend: apt-get install openssh-client",
    "sbatch": "Slurm backend: to be found on a cluster's login node",
    "kubectl": "Kubernetes backend: kubernetes.io/docs/tasks/tools",
    "nvcc": "not needed; DeepSpeed would build optional operations with it",
    "g++": "engine.compile needs it (apt-get install g++ python3-dev); so would parts of DeepSpeed",
}
REQUIRED = ("torchrun",)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    subject: str
    state: State
    found: str
    advice: str = ""


def examine(folder: Path) -> dict[str, Any]:
    """The results of all checks, as one JSON-able document; `folder` is where runs will be."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python, check_packages, _devices, _communication, _programs, lambda: _space(folder),
    ]  # fmt: skip
    return {"findings": [asdict(finding) for check in checks for finding in check()]}


def _python() -> Iterator[Finding]:
    yield Finding("python", OK, f"{platform.python_version()} ({sys.executable})")


def check_packages() -> Iterator[Finding]:
    """Compares what is installed with what progan's metadata requires."""
    try:
        requirements = [Requirement(text) for text in requires("progan") or []]
    except PackageNotFoundError:
        yield Finding("progan", FAILED, "not installed", "pip install . in progan's folder")
        return
    for requirement in requirements:
        if _is_for(requirement, ""):
            yield _package(requirement, FAILED, f"pip install {_quoted(requirement)}")
    for extra, use in EXTRAS.items():
        for requirement in requirements:
            if _is_for(requirement, extra) and not _is_for(requirement, ""):
                yield _package(requirement, ABSENT, f"{use}: pip install 'progan[{extra}]'")


def _is_for(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _quoted(requirement: Requirement) -> str:
    return shlex.quote(f"{requirement.name}{requirement.specifier}")


def _package(requirement: Requirement, missing: State, advice: str) -> Finding:
    """`missing` and `advice`: what to say if the package is not installed."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return Finding(requirement.name, missing, "not installed", advice)
    allowed = requirement.specifier
    if allowed.contains(found, prereleases=True):
        return Finding(requirement.name, OK, found)
    lower = [bound for bound in allowed if bound.operator in (">", ">=", "~=")]
    is_old = any(not bound.contains(found, prereleases=True) for bound in lower)
    what = "too old" if is_old else "too new"
    return Finding(
        requirement.name, FAILED, f"{found}, {what}", f"pip install {_quoted(requirement)}"
    )


def _devices() -> Iterator[Finding]:
    import torch

    from progan.stages.distributed.device import BF16_CAPABILITY, unusable_gpus

    precision = f"bf16 by {units}" if (units := bf16_units()) else "fp32; bf16 would be slower"
    yield Finding("CPU cores", OK, f"{os.cpu_count()}, {precision}")
    if problem := unusable_gpus():
        found, _, advice = problem.partition("; ")
        yield Finding("GPUs", FAILED, found, advice)
        return
    if not torch.cuda.is_available():
        built_for = torch.version.cuda
        advice = (
            "torch finds no usable driver: nvidia-smi tells more"
            if built_for
            else "this torch is built for CPUs: see pytorch.org for one with CUDA"
        )
        yield Finding("GPUs", ABSENT, "none; training takes the CPU", advice)
        return
    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        has_bf16 = (gpu.major, gpu.minor) >= BF16_CAPABILITY
        bf16 = "bf16" if has_bf16 else "no bf16: engine.precision=fp16 or fp32"
        found = f"{gpu.name}, {gpu.total_memory / GIB:.0f} GiB, {bf16}"
        yield Finding(f"GPU {index}", OK, found)


def _communication() -> Iterator[Finding]:
    from torch import distributed

    gloo = distributed.is_gloo_available()
    yield Finding("gloo", OK if gloo else FAILED, "ranks on CPUs" if gloo else "not in this torch")
    nccl = distributed.is_nccl_available()
    yield Finding("NCCL", OK if nccl else ABSENT, "ranks on GPUs" if nccl else "not in this torch")


def _programs() -> Iterator[Finding]:
    search_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for name, use in PROGRAMS.items():
        path = shutil.which(name, path=search_path)
        missing = FAILED if name in REQUIRED else ABSENT
        yield Finding(name, OK, path) if path else Finding(name, missing, "not found", use)


def _space(folder: Path) -> Iterator[Finding]:
    places = [(folder, "checkpoints", MIN_DISK_BYTES)]
    shared = Path("/dev/shm")
    if shared.is_dir() and count_gpus() > 1:
        places.append((shared, "NCCL", MIN_SHARED_MEMORY_BYTES))  # docker: --ipc=host
    for place, purpose, minimum in places:
        free = shutil.disk_usage(place).free
        enough = free >= minimum
        advice = "" if enough else f"{purpose} may need more than {minimum / GIB:.1f} GiB"
        yield Finding(str(place), OK if enough else FAILED, f"{free / GIB:.1f} GiB free", advice)


def doctor_table(document: dict[str, Any]) -> Table:
    """The document as a table."""
    table = Table(box=SIMPLE)
    for heading in ("", "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    marks = {OK: ("ok", "green"), ABSENT: ("--", "yellow"), FAILED: ("failed", "red")}
    for finding in document["findings"]:
        table.add_row(
            finding["subject"],
            coloured(*marks[finding["state"]]),
            finding["found"],
            finding["advice"],
        )
    return table
