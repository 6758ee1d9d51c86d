"""Builds the CUDA device that computes nothing (fake_gpu/README.md), and counts what it is asked.

As a program it builds it in a folder and prints the shell's commands that switch it on.
"""

import ctypes
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

SOURCES = Path(__file__).parent / "fake_gpu"
LIBRARIES = ("libtorch_cuda.so", "libc10_cuda.so", "libtorch_cuda_linalg.so", "libtorch_nvshmem.so")
"""torch's, whose undefined symbols the device has to define"""
SYMBOL = re.compile(r"(__)?(cuda|cublas|cudnn|nccl|cu[A-Z])")
PRODUCT = re.compile(r"cublas.*[Gg]emm|cublasLtMatmul$|cublas.*gemv")
LEFT_TO_CUDART = re.compile(r"__cuda|cudaGetErrorString$|cudaGetErrorName$|cu[A-Z]")


def problem() -> str | None:
    """Why it cannot be built here, or None."""
    if shutil.which("gcc") is None or shutil.which("nm") is None:
        return "the fake GPU needs gcc and nm"
    if not (torch_folder() / "lib" / LIBRARIES[0]).exists():
        return "the fake GPU needs a CUDA build of torch"
    if not any((folder / "cuda_runtime_api.h").exists() for folder in header_folders()):
        return "the fake GPU needs CUDA's headers, which come with the wheels of a CUDA build"
    return None


def build(folder: Path) -> dict[str, str]:
    """Build it in a folder; returns the environment variables that switch it on."""
    driver = folder / "driver"
    driver.mkdir(parents=True, exist_ok=True)
    compile_ = ["gcc", "-O2", "-fPIC", "-w", *(f"-I{each}" for each in header_folders())]
    objects = []
    for source in sorted(SOURCES.glob("*.c")):
        if source.stem != "driver":
            objects.append(str(folder / f"{source.stem}.o"))
            subprocess.run([*compile_, "-c", source, "-o", objects[-1]], check=True)
    rest = folder / "rest.c"
    rest.write_text(remaining_functions(symbols(*objects, defined=True)))
    library, libcuda = folder / "libfake.so", driver / "libcuda.so.1"
    subprocess.run([*compile_, "-shared", "-o", library, rest, *objects, "-lpthread"], check=True)
    subprocess.run(
        [*compile_, "-shared", "-Wl,-soname,libcuda.so.1", "-o", libcuda, SOURCES / "driver.c"],
        check=True,
    )
    return {
        "LD_PRELOAD": str(library),
        "LD_LIBRARY_PATH": str(driver),
        "TRITON_LIBCUDA_PATH": str(driver),
        "CUDA_VISIBLE_DEVICES": "0,1",
        "FAKE_GPUS": "2",
        "DS_ACCELERATOR": "cuda",
    }


def remaining_functions(defined: set[str]) -> str:
    """C source of all functions that torch needs and nobody defines: they count and return 0."""
    torch = torch_folder() / "lib"
    needed = symbols(*(torch / name for name in LIBRARIES if (torch / name).exists()))
    lines = ['#include "%s"' % (SOURCES / "counters.h"), "static atomic_long others;"]
    for name in sorted(needed - defined):
        if SYMBOL.match(name) and not LEFT_TO_CUDART.match(name):
            counter = "fc_gemm" if PRODUCT.match(name) else "others"
            lines.append(f"int {name}(void) {{ {counter}++; return 0; }}")
    return "\n".join(lines) + "\n"


def symbols(*files: str | Path, defined: bool = False) -> set[str]:
    """The functions that libraries need, or that object files define."""
    if defined:
        listed = run_nm("--defined-only", *files)
        return {line.split()[2] for line in listed if line.split()[1:2] == ["T"]}
    listed = run_nm("-D", "--undefined-only", *files)
    return {line.split()[1].partition("@")[0] for line in listed if len(line.split()) == 2}


def run_nm(*arguments: str | Path) -> list[str]:
    """Its lines."""
    found = subprocess.run(["nm", *arguments], check=True, capture_output=True, text=True)
    return found.stdout.splitlines()


def torch_folder() -> Path:
    """Where torch is installed; it is not imported."""
    spec = find_spec("torch")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def header_folders() -> list[Path]:
    """The headers of the wheels beside torch.

    NVIDIA's leave some to the wheel of their compiler: Triton brings one, and one may be empty.
    """
    wheels = torch_folder().parent
    rest = [wheels / "triton/backends/nvidia/include", SOURCES / "include"]
    return [*sorted(wheels.glob("nvidia/*/include")), *rest]


def counters() -> dict[str, int]:
    """What this process has asked of the device since it began, or `reset`."""
    text = ctypes.create_string_buffer(8192)
    ctypes.CDLL(None).fake_counters(text, len(text))
    return {name: int(n) for name, _, n in (w.partition("=") for w in text.value.decode().split())}


def reset() -> None:
    """Set all counters to 0."""
    ctypes.CDLL(None).fake_reset()


def is_on() -> bool:
    """Whether this process runs on it."""
    return hasattr(ctypes.CDLL(None), "fake_counters")


if __name__ == "__main__":
    if (why := problem()) is not None:
        sys.exit(why)
    for name, value in build(Path(sys.argv[1]).absolute()).items():
        print(f"export {name}={value}")
