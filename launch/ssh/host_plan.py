"""A task host_plan over hosts, as each of them is told."""

import base64
import json

from pydantic import BaseModel, ConfigDict

from progan.launch.spec import LaunchSpec
from progan.launch.ssh.hostfile import Host

BEAT = b"."
"""Sent to every host every few seconds; one that hears nothing ends its ranks."""
BEAT_SECONDS = 5.0
SILENCE_SECONDS = 45.0
STOP = b"s"
"""Sent once: ask the ranks to stop."""


class HostPlan(BaseModel):
    """Everything that a host has to know to start its share of the ranks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    launch: LaunchSpec
    hosts: tuple[Host, ...]
    address: str
    """Where the first rank listens, on the first host."""
    port: int
    argv: tuple[str, ...]

    def launcher(self, node: int) -> list[str]:
        """The arguments of Python that start the ranks of one host with DeepSpeed's launcher."""
        ranks = {host.name: list(range(host.slots)) for host in self.hosts}
        return [
            *("-m", "deepspeed.launcher.launch"),
            f"--world_info={base64.urlsafe_b64encode(json.dumps(ranks).encode()).decode()}",
            f"--node_rank={node}",
            f"--master_addr={self.address}",
            f"--master_port={self.port}",
            "--no_python",
            "--no_local_rank",
            *self.argv,
        ]
