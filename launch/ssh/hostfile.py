"""The hosts of a run, from a hostfile in the format of DeepSpeed and MPI."""

import re
from dataclasses import dataclass
from pathlib import Path

from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec

LINE = re.compile(r"(?P<name>[^\s=]+)\s+slots=(?P<slots>[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine's name for ssh, and its number of ranks."""

    name: str
    slots: int


def read_hostfile(path: Path) -> list[Host]:
    """The hosts in the file's order; LaunchError naming file and line if one is wrong."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise LaunchError(f"launch.hostfile: {path}: {error.strerror}") from error
    line_numbers: dict[str, int] = {}
    hosts: list[Host] = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = LINE.fullmatch(text)
        if match is None:
            raise LaunchError(f"{path}, line {number}: not of the form HOST slots=N: {text}")
        name = match["name"]
        if name in line_numbers:
            earlier = line_numbers[name]
            raise LaunchError(f"{path}, line {number}: {name} stands in line {earlier} already")
        line_numbers[name] = number
        hosts.append(Host(name, int(match["slots"])))
    if not hosts:
        raise LaunchError(f"{path}: no host in it; a line looks like HOST slots=N")
    return hosts


def chosen_hosts(spec: LaunchSpec) -> list[Host]:
    """The hosts of a run: the first `nodes` of its hostfile, with `gpus_per_node` slots each."""
    assert spec.hostfile is not None
    hosts = read_hostfile(spec.hostfile)
    if spec.nodes != "auto":
        if spec.nodes > len(hosts):
            raise LaunchError(f"launch.nodes={spec.nodes}: {spec.hostfile} has {len(hosts)} hosts")
        hosts = hosts[: spec.nodes]
    if spec.min_nodes and spec.min_nodes > len(hosts):
        raise LaunchError(f"launch.min_nodes={spec.min_nodes}: of {len(hosts)} hosts in all")
    if spec.gpus_per_node == "auto":
        return hosts
    for host in hosts:
        if host.slots < spec.gpus_per_node:
            raise LaunchError(
                f"launch.gpus_per_node={spec.gpus_per_node}: {host.name} has {host.slots} slots "
                f"in {spec.hostfile}"
            )
    return [Host(host.name, spec.gpus_per_node) for host in hosts]
