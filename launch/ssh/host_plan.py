"""How a task's ranks are spread over hosts: sent to the supervisor of each host."""

import os

from pydantic import BaseModel, ConfigDict, Field

from progan.launch.spec import LaunchSpec
from progan.launch.ssh.hostfile import Host

HEARTBEAT = b"."
"""Sent to every host at regular intervals; a host that receives nothing ends its ranks."""
HEARTBEATS_MISSED = 9
STOP = b"s"
"""Sent once: ask the ranks to stop."""


def _silence_seconds() -> float:
    """Tests shorten it through the environment."""
    return float(os.environ.get("PROGAN_SSH_SILENCE_SECONDS", "45"))


class HostPlan(BaseModel):
    """Everything that a host needs to start its share of the ranks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    launch: LaunchSpec
    hosts: tuple[Host, ...]
    address: str
    """Where the first rank listens, on the first host."""
    port: int
    argv: tuple[str, ...]
    silence_seconds: float = Field(default_factory=_silence_seconds)
    """A host that receives nothing for this long ends its ranks."""

    @property
    def lost_seconds(self) -> float:
        """A connection that is silent for this long is lost: before its host ends the ranks."""
        return self.silence_seconds * 2 / 3

    @property
    def heartbeat_seconds(self) -> float:
        """The interval at which heartbeats are sent."""
        return self.silence_seconds / HEARTBEATS_MISSED

    def launcher(self, node: int) -> list[str]:
        """The arguments of Python that start the ranks of one host with torchrun.

        The host's CUDA_VISIBLE_DEVICES reaches them as it is; DeepSpeed's launcher overwrites it.
        """
        return [
            *("-m", "torch.distributed.run"),
            f"--nnodes={len(self.hosts)}",
            f"--node-rank={node}",
            f"--nproc-per-node={self.hosts[node].slots}",
            f"--master-addr={self.address}",
            f"--master-port={self.port}",
            "--no-python",
            *self.argv,
        ]
