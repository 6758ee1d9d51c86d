"""Where and on how many processes a stage runs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator


class LaunchSpec(BaseModel):
    """The `launch:` group of a run's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["local", "slurm"] = "local"
    nodes: PositiveInt = 1
    """Machines; the local backend has one."""
    gpus_per_node: PositiveInt | Literal["auto"] = "auto"
    """Processes per machine, one a GPU. On a machine without GPUs they share its CPU cores, and
    `auto` means two."""
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
    """Container image that the ranks run in, with progan installed."""
    mounts: list[str] = Field(default_factory=list)
    """Folders that the container sees, as HOST:CONTAINER; the run and the data set must be among
    them, under the same paths."""
    sbatch: list[str] = Field(default_factory=list)
    """Further #SBATCH lines, such as --cpus-per-task=12; they count more than progan's own."""
    max_restarts: NonNegativeInt = 3
    """How often a stage whose processes died is started again without having come any further."""

    @model_validator(mode="after")
    def _one_machine(self) -> "LaunchSpec":
        if self.backend == "local" and self.nodes > 1:
            raise ValueError(f"nodes ({self.nodes}): the local backend has one machine")
        return self

    @model_validator(mode="after")
    def _counted(self) -> "LaunchSpec":
        if self.backend == "slurm" and self.gpus_per_node == "auto":
            raise ValueError("gpus_per_node: say how many for Slurm; auto only counts GPUs here")
        return self
