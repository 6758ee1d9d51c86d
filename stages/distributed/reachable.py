"""Checks that the machines of a job find each other by name, which torch would try for minutes."""

import ipaddress
import os
import socket
import time

from progan.stages.errors import StageError

PATIENCE_SECONDS = 10.0
"""A name server may be away for a moment"""


def require_names(uses_gloo: bool) -> None:
    """StageError if this machine cannot find the first one, or, with gloo, the others this one."""
    first, own = os.environ.get("MASTER_ADDR", "127.0.0.1"), socket.gethostname()
    found = _addresses(first)
    if not found:
        raise StageError(
            f"{own} does not find {first}, the first machine, by that name: enter it in the name "
            "server or in /etc/hosts on every machine"
        )
    alone = int(os.environ.get("WORLD_SIZE", 1)) <= int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if alone or not uses_gloo or "GLOO_SOCKET_IFNAME" in os.environ or _is_loopback(found):
        return
    if _is_loopback(_addresses(own)):
        raise StageError(
            f"{own}: the machine's own name leads to no address by which others reach it: set "
            "launch.interface to their network (ip -br address lists them), or correct /etc/hosts"
        )


def _addresses(name: str) -> set[str]:
    """A machine's addresses; none if the name is not known."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return {str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(name, None)}
        except socket.gaierror as error:
            if error.errno != socket.EAI_AGAIN or time.monotonic() > deadline:
                return set()
            time.sleep(1)


def _is_loopback(addresses: set[str]) -> bool:
    """Whether all of them are of this machine alone, as 127.0.1.1."""
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)
