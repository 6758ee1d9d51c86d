"""Hostfiles, and what launch.nodes and launch.gpus_per_node make of them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec
from progan.launch.ssh.hostfile import Host, chosen_hosts, read_hostfile

GOOD = "# two boxes\nn1 slots=4\n\n  user@10.0.0.2   slots=8  # the large one\n"
HOSTS = [Host("n1", 4), Host("user@10.0.0.2", 8)]


def hostfile(folder: Path, text: str) -> Path:
    path = folder / "hostfile"
    path.write_text(text)
    return path


def test_comments_and_blank_lines_are_left_out(tmp_path: Path) -> None:
    assert read_hostfile(hostfile(tmp_path, GOOD)) == HOSTS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n1 slots=4\nn2\n", "line 2: not of the form HOST slots=N: n2"),
        ("n1 slots=0\n", "line 1: not of the form"),
        ("n1 slots=4 gpus=2\n", "line 1: not of the form"),
        ("n1 slots=4\n\nn1 slots=2\n", "line 3: n1 stands in line 1 already"),
        ("# nobody\n", "no host in it"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = hostfile(tmp_path, text)
    with pytest.raises(LaunchError, match=f"^{path}.*{message}"):
        read_hostfile(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=f"launch.hostfile: {tmp_path}/none: No such file"):
        read_hostfile(tmp_path / "none")


def spec(folder: Path, **fields: Any) -> LaunchSpec:
    return LaunchSpec(backend="ssh", hostfile=hostfile(folder, GOOD), **fields)


def test_the_configuration_narrows_it(tmp_path: Path) -> None:
    assert chosen_hosts(spec(tmp_path)) == HOSTS
    assert chosen_hosts(spec(tmp_path, nodes=1)) == HOSTS[:1]
    assert [host.slots for host in chosen_hosts(spec(tmp_path, gpus_per_node=3))] == [3, 3]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"nodes": 3}, "launch.nodes=3: .*hostfile has 2 hosts"),
        ({"gpus_per_node": 5}, "launch.gpus_per_node=5: n1 has 4 slots"),
    ],
)
def test_more_than_there_is(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        chosen_hosts(spec(tmp_path, **fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backend": "ssh"}, "hostfile: the ssh backend needs it"),
        ({"backend": "torchrun", "nodes": 2}, "rendezvous: the torchrun backend needs it"),
        ({"backend": "torchrun", "rendezvous": "n1:29500"}, "nodes: the torchrun backend needs it"),
        ({"backend": "torchrun", "nodes": 2, "rendezvous": "n1"}, "rendezvous"),
        ({"backend": "local", "nodes": 2}, "the local backend has one machine"),
        ({"backend": "local", "min_nodes": 1}, "only ssh can do with fewer machines"),
    ],
)
def test_what_a_backend_needs(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LaunchSpec(**fields)
