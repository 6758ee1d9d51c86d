"""Which precision the machines of a run compute in: bf16 where that is faster, else fp32.

    python -m progan.launch.precision

prints that of this machine, and why, as JSON: this is how hosts are asked over ssh. fp16 is never
chosen: it needs the losses scaled, and skips steps.
"""

import json
import sys
from collections.abc import Mapping
from typing import Literal, NamedTuple

from progan.launch.backends.slurm import asks_for_gpus
from progan.launch.devices import VISIBLE, bf16_units, count_gpus, gpu_capabilities
from progan.launch.errors import UnreachableError
from progan.launch.spec import LaunchSpec
from progan.launch.ssh.hostfile import chosen_hosts
from progan.launch.ssh.remote import ask_all

BF16_CAPABILITY = (8, 0)


class Choice(NamedTuple):
    """A precision, and why."""

    precision: Literal["fp32", "bf16"]
    reason: str


def best_precision(launch: LaunchSpec) -> Choice:
    """The precision for a run: of its GPUs if it asks a scheduler for some, else of a machine.

    Over ssh these are the hosts; otherwise it is this machine, which stands for the others. The
    workers refuse bf16 on a GPU that has none.
    """
    may_have_gpus = VISIBLE not in launch.env or count_gpus(launch.env) > 0
    asks = launch.backend == "kubernetes" or (launch.backend == "slurm" and asks_for_gpus(launch))
    if asks and may_have_gpus:
        return Choice("bf16", "for the GPUs that are asked for")
    return _of_hosts(launch) if launch.backend == "ssh" else of_machine(launch.env)


def of_machine(env: Mapping[str, str]) -> Choice:
    """The precision for this machine; env: as for count_gpus."""
    if not count_gpus(env):
        units = bf16_units()
        if units is None:
            return Choice("fp32", "the CPU is no faster in bf16")
        return Choice("bf16", f"the CPU has {units}")
    lowest = min(gpu_capabilities(env), default=None)
    if lowest is None:  # no driver to ask
        return Choice("bf16", "for GPUs")
    known = f"compute capability {'.'.join(map(str, lowest))}"
    if lowest < BF16_CAPABILITY:
        return Choice("fp32", f"a GPU has {known}, and bf16 needs 8.0")
    return Choice("bf16", f"the GPUs have {known}")


def lacks_bf16(launch: LaunchSpec) -> str | None:
    """Why the GPUs here cannot compute in bf16; None if they can, or the ranks run elsewhere."""
    if launch.backend not in ("local", "torchrun") or not count_gpus(launch.env):
        return None
    choice = of_machine(launch.env)
    return choice.reason if choice.precision == "fp32" else None


def is_slower_in_bf16(launch: LaunchSpec) -> bool:
    """Whether the ranks run on this machine's CPU, and that is slower in bf16 than in fp32."""
    here = launch.backend in ("local", "torchrun")
    return here and not count_gpus(launch.env) and bf16_units() is None


def _of_hosts(launch: LaunchSpec) -> Choice:
    """The precision of all hosts that answer; UnreachableError if none does."""
    visible = [f"{VISIBLE}={launch.env[VISIBLE]}"] if VISIBLE in launch.env else []
    names = [host.name for host in chosen_hosts(launch)]
    outputs, unreachable = ask_all(names, "-m", "progan.launch.precision", *visible)
    if not outputs:
        raise UnreachableError("\n".join(unreachable))
    choices = {name: Choice(*json.loads(output)) for name, output in outputs.items()}
    name = min(choices, key=lambda name: choices[name].precision == "bf16")
    return choices[name]._replace(reason=f"{choices[name].reason} ({name})")


if __name__ == "__main__":
    print(json.dumps(of_machine(dict(word.split("=", 1) for word in sys.argv[1:]))))
