"""Where and on how many processes a stage runs."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class LaunchSpec(BaseModel):
    """The `launch:` group of a run's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["local"] = "local"
    nodes: Annotated[int, Field(ge=1, le=1)] = 1
    """Machines; the local backend has one."""
    gpus_per_node: PositiveInt | Literal["auto"] = "auto"
    """Processes per machine, one a GPU. On a machine without GPUs they share its CPU cores, and
    `auto` means two."""
