"""How machines that torchrun starts on find each other."""

import socket
from typing import Any

import pytest

from progan.launch.backends.torchrun import Torchrun
from progan.launch.errors import LaunchError
from progan.launch.spec import LaunchSpec

ADDRESSES = {"n1": "127.0.0.1", "n2": "10.0.0.2", "debian": "127.0.1.1"}


@pytest.fixture(autouse=True)
def name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows ADDRESSES; n1 is this machine, so that its address can be reached."""

    def answer(name: str, port: object) -> list[Any]:
        if name not in ADDRESSES:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ADDRESSES[name], port or 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


def backend(host: str = "n1") -> Torchrun:
    return Torchrun(LaunchSpec(backend="torchrun", rendezvous=f"{host}:29603", nodes=2))


@pytest.mark.parametrize(
    ("own", "is_host", "expected"),
    [
        ("n2", False, "n2"),
        ("debian", False, "127.0.0.1"),  # on the way to n1
        ("nowhere", False, "127.0.0.1"),
        ("nowhere", True, "n1"),
    ],
)
def test_address_for_the_others(
    own: str, is_host: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: own)
    assert backend().own_address(is_host) == expected


def test_unknown_rendezvous_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: "nowhere")
    with pytest.raises(LaunchError, match=r"launch\.rendezvous: .* does not find n7 by that name"):
        backend("n7").own_address(is_host=False)
