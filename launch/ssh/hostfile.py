"""The hosts of a run, from a hostfile in the format of DeepSpeed and MPI."""

import re
from dataclasses import dataclass
from pathlib import Path

from progan.launch.errors import LaunchConfigError
from progan.launch.spec import HOST, LaunchSpec

LINE = re.compile(rf"(?P<name>{HOST})\s+slots=(?P<slots>[1-9][0-9]{{0,5}})")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine's name for ssh, and its number of ranks."""

    name: str
    slots: int


def read_hostfile(path: Path) -> list[Host]:
    """The hosts in the file's order; LaunchConfigError naming file and line if one is wrong."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise LaunchConfigError(f"launch.hostfile: {path}: {reason}") from error
    line_numbers: dict[str, int] = {}
    hosts: list[Host] = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = LINE.fullmatch(text)
        if match is None:
            raise LaunchConfigError(f"{path}, line {number}: not of the form HOST slots=N: {text}")
        name = match["name"]
        if name in line_numbers:
            earlier = line_numbers[name]
            raise LaunchConfigError(
                f"{path}, line {number}: {name} stands in line {earlier} already"
            )
        line_numbers[name] = number
        hosts.append(Host(name, int(match["slots"])))
    if not hosts:
        raise LaunchConfigError(f"{path}: no host in it; a line looks like HOST slots=N")
    return hosts


def chosen_hosts(spec: LaunchSpec) -> list[Host]:
    """The hosts of a run: the first `nodes` of its hostfile, with `gpus_per_node` slots each."""
    assert spec.hostfile is not None
    hosts = read_hostfile(spec.hostfile)
    if spec.nodes != "auto":
        if spec.nodes > len(hosts):
            raise LaunchConfigError(
                f"launch.nodes={spec.nodes}: {spec.hostfile} has {len(hosts)} hosts"
            )
        hosts = hosts[: spec.nodes]
    if spec.min_nodes and spec.min_nodes > len(hosts):
        raise LaunchConfigError(f"launch.min_nodes={spec.min_nodes}: of {len(hosts)} hosts in all")
    if spec.gpus_per_node == "auto":
        return hosts
    for host in hosts:
        if host.slots < spec.gpus_per_node:
            raise LaunchConfigError(
                f"launch.gpus_per_node={spec.gpus_per_node}: {host.name} has {host.slots} slots "
                f"in {spec.hostfile}"
            )
    return [Host(host.name, spec.gpus_per_node) for host in hosts]
