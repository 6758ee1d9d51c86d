"""What every rank finds in its environment, whoever starts it."""

import os

from progan.launch.spec import LaunchSpec

KEEP_MEMORY = {
    # glibc hands large tensors back to the kernel when they are freed, and the next step pays for
    # every page again. Keeping them made a CPU step at 32x32 take 0.71 of its time.
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**28),
}


def of_ranks(spec: LaunchSpec) -> dict[str, str]:
    """Memory kept between steps, `datasets` Hugging Face's wherever a rank is started, the network
    interface, and what the user asked for, which counts most."""
    found = {"PYTHONSAFEPATH": "1"} | KEEP_MEMORY
    if spec.interface:
        found |= {"NCCL_SOCKET_IFNAME": spec.interface, "GLOO_SOCKET_IFNAME": spec.interface}
    return found | spec.env


def on_this_machine(spec: LaunchSpec, ranks: int) -> dict[str, str]:
    """What so many ranks here find set unless this machine's environment sets it, CPU threads
    shared out among them too; `launch.env` counts more than both."""
    threads = max(1, (os.cpu_count() or 1) // ranks)
    ours = {"OMP_NUM_THREADS": str(threads)} | of_ranks(spec)
    return {name: os.environ.get(name, value) for name, value in ours.items()} | spec.env
