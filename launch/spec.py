"""Where and on how many processes a stage runs."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
    model_validator,
)

NEEDED = {
    "ssh": ("hostfile",),
    "torchrun": ("rendezvous", "nodes"),
    "slurm": ("nodes", "gpus_per_node"),
    "kubernetes": ("nodes", "gpus_per_node", "image", "volume_claim", "volume_mount"),
}
"""Keys that have to be said, by backend."""


class LaunchSpec(BaseModel):
    """The `launch:` group of a run's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["local", "ssh", "torchrun", "slurm", "kubernetes"] = "local"
    nodes: PositiveInt | Literal["auto"] = "auto"
    """Machines. `auto` means this one, or for ssh all of the hostfile."""
    min_nodes: PositiveInt | None = None
    """For ssh: go on with as few machines as this when others cannot be reached; by default none
    may be missing. They are asked again whenever a stage is started."""
    gpus_per_node: PositiveInt | Literal["auto"] = "auto"
    """Processes per machine, one a GPU. On a machine without GPUs they share its CPU cores, and
    `auto` means two; for ssh it means the hostfile's slots."""
    hostfile: Annotated[Path, AfterValidator(Path.absolute)] | None = None
    """For ssh: a file of lines `HOST slots=N`, as DeepSpeed and MPI know it."""
    rendezvous: Annotated[str, StringConstraints(pattern=r"^\S+:\d+$")] | None = None
    """For torchrun: HOST:PORT of the machine where `progan train` runs, as the others see it."""
    namespace: str | None = None
    """Kubernetes namespace; by default kubectl's."""
    volume_claim: str | None = None
    """PersistentVolumeClaim with runs and data sets (kubernetes)."""
    volume_mount: Path | None = None
    """Where pods see it: the path by which this machine sees it, too (kubernetes)."""
    interface: str | None = None
    """Network interface that ranks talk over, such as ib0 or eth0; NCCL and gloo choose else."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of every rank."""
    partition: str | None = None
    """Slurm's partition; else its default."""
    account: str | None = None
    """What a job is charged to."""
    time_limit: Annotated[str | None, Field(coerce_numbers_to_str=True)] = None
    """Of one job, as Slurm writes it: minutes, 12:00:00, 2-00:00:00. A stage that takes longer goes
    on in another job; the partition's limit if there is none."""
    image: str | None = None
    """Container image that the ranks run in, with progan installed (slurm, kubernetes)."""
    mounts: list[str] = Field(default_factory=list)
    """Folders that the container sees, as HOST:CONTAINER; the run and the data set must be among
    them, under the same paths."""
    sbatch: list[str] = Field(default_factory=list)
    """Further #SBATCH lines, such as --cpus-per-task=12; they count more than progan's own."""
    max_restarts: NonNegativeInt = 3
    """How often a stage whose processes died is started again without having come any further."""

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
