"""Where and on how many processes a stage runs."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

NEEDED = {"kubernetes": ("image", "volume_claim", "volume_mount")}
"""Keys without a default, by backend."""


class LaunchSpec(BaseModel):
    """The `launch:` group of a run's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["local", "kubernetes"] = "local"
    nodes: PositiveInt = 1
    """Machines; the local backend has one."""
    gpus_per_node: PositiveInt | Literal["auto"] = "auto"
    """Processes per machine, one a GPU. On a machine without GPUs they share its CPU cores, and
    `auto` means two."""
    image: str | None = None
    """Container image (kubernetes)."""
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
    max_restarts: NonNegativeInt = 3
    """How often a stage whose processes died is started again without having come any further."""

    @model_validator(mode="after")
    def _has_what_its_backend_needs(self) -> "LaunchSpec":
        if self.backend == "local" and self.nodes > 1:
            raise ValueError(f"nodes ({self.nodes}): the local backend has one machine")
        if self.backend != "local" and self.gpus_per_node == "auto":
            raise ValueError(f"gpus_per_node: say how many, for backend {self.backend}")
        for key in NEEDED.get(self.backend, ()):
            if getattr(self, key) is None:
                raise ValueError(f"{key}: backend {self.backend} needs it")
        return self
