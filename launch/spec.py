"""Where and on how many processes a stage runs."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator


class LaunchSpec(BaseModel):
    """The `launch:` group of a run's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["local"] = "local"
    nodes: PositiveInt = 1
    """Machines; the local backend has one."""
    gpus_per_node: PositiveInt | Literal["auto"] = "auto"
    """Processes per machine, one a GPU. On a machine without GPUs they share its CPU cores, and
    `auto` means two."""
    interface: str | None = None
    """Network interface that ranks talk over, such as ib0 or eth0; NCCL and gloo choose else."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables of every rank."""
    max_restarts: NonNegativeInt = 3
    """How often a stage whose processes died is started again without having come any further."""

    @model_validator(mode="after")
    def _one_machine(self) -> "LaunchSpec":
        if self.backend == "local" and self.nodes > 1:
            raise ValueError(f"nodes ({self.nodes}): the local backend has one machine")
        return self
