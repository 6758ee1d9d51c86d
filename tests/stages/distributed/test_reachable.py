"""Machines that do not find each other by name are named at once."""

import socket

import pytest

from progan.stages.distributed import reachable
from progan.stages.distributed.reachable import require_names
from progan.stages.errors import StageError

ADDRESSES = {"n1": "10.0.0.1", "n2": "10.0.0.2", "debian": "127.0.1.1", "localhost": "::1"}


@pytest.fixture(autouse=True)
def name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows ADDRESSES, and cannot be asked for `later`."""

    def answer(name: str, port: object) -> list[object]:
        if name not in ADDRESSES:
            code = socket.EAI_AGAIN if name == "later" else socket.EAI_NONAME
            raise socket.gaierror(code, "not known")
        return [(socket.AF_INET, 1, 6, "", (ADDRESSES[name], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr(reachable, "PATIENCE_SECONDS", -1)


def start(monkeypatch: pytest.MonkeyPatch, own: str, first: str, **variables: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: own)
    settings = {"MASTER_ADDR": first, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}
    for name, value in (settings | variables).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("first", ["nowhere", "later"])
@pytest.mark.parametrize("uses_gloo", [True, False])
def test_first_machine_must_be_known(
    first: str, uses_gloo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(monkeypatch, "n2", first)
    with pytest.raises(StageError, match=f"n2 does not find {first}, the first machine"):
        require_names(uses_gloo)


@pytest.mark.parametrize("own", ["debian", "nowhere"])
def test_gloo_must_be_reached_by_the_own_name(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, own, "n1")
    with pytest.raises(StageError, match=f"{own}: the machine's own name .* launch.interface"):
        require_names(uses_gloo=True)
    require_names(uses_gloo=False)


@pytest.mark.parametrize(
    ("own", "first", "variables"),
    [
        ("n2", "n1", {}),
        ("debian", "n1", {"GLOO_SOCKET_IFNAME": "eth0"}),
        ("nowhere", "n1", {"LOCAL_WORLD_SIZE": "2"}),
        ("nowhere", "localhost", {}),
    ],
)
def test_what_works_is_not_refused(
    own: str, first: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(monkeypatch, own, first, **variables)
    require_names(uses_gloo=True)
