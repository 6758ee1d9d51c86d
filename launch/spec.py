"""Where and on how many processes a stage runs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

HOST = r"(?:\w[\w.+-]*@)?[\w:\[][\w.:%\[\]-]*"
"""A host's name or address as ssh takes it, with or without a user; never an option of ssh."""
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

NEEDED = {
    "ssh": ("hostfile",),
    "torchrun": ("rendezvous", "nodes"),
    "slurm": ("nodes", "gpus_per_node"),
    "kubernetes": ("nodes", "gpus_per_node", "image", "volume_claim", "volume_mount"),
}
"""Required keys, by backend"""


def _host_and_port(text: str) -> str:
    if not re.fullmatch(rf"{HOST}:[0-9]{{1,5}}", text):
        raise ValueError("must be HOST:PORT, such as n1:29500")
    return text


class LaunchSpec(BaseModel):
    """Where the ranks run, and what starts them."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    backend: Literal["local", "ssh", "torchrun", "slurm", "kubernetes"] = "local"
    """What starts the ranks."""
    nodes: PositiveInt | Literal["auto"] = "auto"
    """Number of machines. `auto` means this one, or for ssh all of the hostfile."""
    min_nodes: PositiveInt | None = None
    """For ssh: the fewest machines to continue with when others cannot be reached; by default all.
    Unreachable ones are tried again whenever a stage is started."""
    gpus_per_node: PositiveInt | Literal["auto"] = "auto"
    """Processes per machine, one per GPU. On a machine without GPUs they share its CPU cores, and
    `auto` means two; for ssh it means the hostfile's slots."""
    hostfile: Annotated[Path, AfterValidator(Path.absolute)] | None = None
    """For ssh: a file of lines `HOST slots=N`, as for DeepSpeed and MPI."""
    rendezvous: Annotated[str, AfterValidator(_host_and_port)] | None = None
    """For torchrun: HOST:PORT of the machine where `progan train` runs, as the others see it."""
    namespace: str | None = None
    """Kubernetes namespace; by default kubectl's."""
    volume_claim: str | None = None
    """PersistentVolumeClaim with runs and data sets (kubernetes)."""
    volume_mount: Path | None = None
    """Where pods mount it: the same path as on this machine (kubernetes)."""
    pod: dict[Literal["metadata", "spec"], dict[str, JsonValue]] = Field(default_factory=dict)
    """Merged into the template of the pods (kubernetes), whose container is `ranks` and whose
    /dev/shm is the volume `shm`: tolerations, nodeSelector, labels, secrets; null removes a key."""
    interface: str | None = None
    """Network interface of the ranks, such as ib0 or eth0; by default NCCL and gloo choose."""
    env: dict[str, Annotated[str, Field(coerce_numbers_to_str=True)]] = Field(default_factory=dict)
    """Environment variables of every rank."""
    partition: str | None = None
    """Slurm's partition; by default the cluster's."""
    account: str | None = None
    """The account that jobs are charged to (slurm)."""
    time_limit: Annotated[str | None, Field(coerce_numbers_to_str=True)] = None
    """Of one job, in Slurm's format: minutes, 12:00:00, 2-00:00:00. A stage that takes longer
    continues in another job; by default the partition's limit."""
    image: str | None = None
    """Container image that the ranks run in, with progan installed (slurm, kubernetes)."""
    mounts: list[str] = Field(default_factory=list)
    """Folders mounted in the container, as HOST:CONTAINER; the run and the data set must be among
    them, under the same paths."""
    cpus_per_rank: PositiveInt | None = None
    """CPUs of every rank (slurm): threads that decode pictures, and OMP_NUM_THREADS. By default 8
    for ranks with a GPU, and the cluster's default for ranks without."""
    sbatch: list[str] = Field(default_factory=list)
    """Further #SBATCH lines, such as --mem=0; they override progan's own."""
    max_restarts: NonNegativeInt = 3
    """How often a stage whose processes died is restarted without progress in between."""

    @model_validator(mode="after")
    def _stays_text(self) -> "LaunchSpec":
        """All of these get into scripts, manifests and command lines."""
        for key, text in self._texts():
            if found := _CONTROL.search(text):
                raise ValueError(f"{key}: has a character that is no text, {ascii(found[0])}")
        for name in self.env:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(
                    f"env: {name!r} cannot be a variable's name: it has letters, digits and _ only,"
                    " and does not begin with a digit"
                )
        for line in self.sbatch:
            if not line.removeprefix("#SBATCH ").startswith("-"):
                raise ValueError(f"sbatch: {line!r} is no option of sbatch, such as --mem=0")
        return self

    def _texts(self) -> Iterator[tuple[str, str]]:
        """The key and the text of every value."""
        for key, value in self:
            if isinstance(value, str | Path):
                yield key, str(value)
            elif isinstance(value, list):
                yield from ((key, text) for text in value)
        yield from ((f"env.{name!r}"[:60], name + value) for name, value in self.env.items())

    @model_validator(mode="after")
    def _has_what_its_backend_needs(self) -> "LaunchSpec":
        if self.backend == "local" and self.nodes not in (1, "auto"):
            raise ValueError(f"nodes ({self.nodes}): the local backend has one machine")
        if self.min_nodes and self.backend != "ssh":
            raise ValueError(f"min_nodes ({self.min_nodes}): only ssh can do with fewer machines")
        for key in NEEDED.get(self.backend, ()):
            if getattr(self, key) in (None, "auto"):
                raise ValueError(f"{key}: the {self.backend} backend needs it")
        return self
