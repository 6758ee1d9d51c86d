"""Files made to exhaust time or memory are refused at once, before anything is made of them."""

import copy
import faulthandler
import io
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from imported import assert_refused
from progan.datasets.errors import DataError
from progan.pipeline.imports.formats import import_checkpoint
from progan.pipeline.imports.pickle_limits import MAX_OPCODES, require_modest

BILLION = 10**9


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def doubled(levels: int, empty: Any) -> Any:
    """A list or tuple that holds the one below twice: 2^levels objects in all."""
    kind = type(empty)
    for _ in range(levels):
        empty = kind((empty, empty))
    return empty


def doubled_backwards(levels: int) -> bytes:
    """The same as lists that are filled after they were put into another one."""
    made = b"".join(b"]" + b"q" + bytes([number]) for number in range(levels))
    filled = b"".join(
        b"h" + bytes([number]) + 2 * (b"h" + bytes([number + 1]) + b"a\x85")[:3] + b"0"
        for number in range(levels - 1)
    )
    return b"\x80\x02" + made + filled + b"h\0."


def itself() -> Any:
    objects: list[Any] = []
    objects.append(objects)
    return objects


def nested(levels: int) -> bytes:
    return b"\x80\x02" + b")" + b"\x85" * levels + b"."


PICKLES: dict[str, tuple[bytes, str]] = {
    "doubled lists": (pickle.dumps(doubled(60, [])), "nested deeper"),
    "doubled tuples as a key": (pickle.dumps([doubled(30, ())]), "others"),
    "lists doubled afterwards": (doubled_backwards(60), "nested deeper|others"),
    "a list in itself": (pickle.dumps(itself()), "holds itself"),
    "nested tuples": (nested(10_000), "nested deeper"),
    "memo": (b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b".", "as number 4294967295"),
    "unset memo": (b"\x80\x02j" + struct.pack("<I", 2**32 - 1) + b".", "has not stored"),
    "marks": (b"\x80\x02" + b"(" * 3_000_000 + b".", f"more than {MAX_OPCODES:,} opcodes"),
    "opcodes": (b"\x80\x02N" + b"N0" * MAX_OPCODES + b".", "opcodes"),
    "long integer": (b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\0.", "only 2 remain|"),
    "bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"\0.", "bytes"),
    "byte array": (b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"\0.", "bytes"),
    "string": (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"\0.", "bytes"),
    "frame": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.", "truncated|three networks"),
    "empty stack": (b"\x80\x02a.", "empty stack"),
    "end without a beginning": (b"\x80\x02]e.", "without a beginning"),
    "decimal digits": (b"\x80\x02L" + b"9" * BILLION.bit_length() * 9000 + b"L\n.", "damaged"),
}


def assert_refused_at_once(path: Path, kind: str, says: str) -> None:
    """In one line and within 100 MB; a minute is taken for a hang and ends this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    faulthandler.dump_traceback_later(60, exit=True)
    with pytest.raises(DataError, match=says) as caught:
        import_checkpoint(path, path.with_name("out"), kind, None)
    faulthandler.cancel_dump_traceback_later()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < 500
    assert not path.with_name("out").exists()


@pytest.mark.parametrize(("content", "says"), PICKLES.values(), ids=PICKLES)
def test_hostile_pickle_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "n.pkl").write_bytes(content)
    assert_refused_at_once(tmp_path / "n.pkl", "tensorflow", says)


@pytest.mark.parametrize("kind", ["pro_gan_pytorch", "pytorch_gan_zoo"])
@pytest.mark.parametrize("name", ["doubled lists", "memo", "marks", "nested tuples"])
@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_pickle_in_a_file_of_torch_is_refused(
    tmp_path: Path, kind: str, name: str, zipped: bool
) -> None:
    content, says = PICKLES[name]
    if zipped:
        with zipfile.ZipFile(tmp_path / "p.bin", "w") as archive:
            archive.writestr("archive/DATA.pkl", content)
    else:
        (tmp_path / "p.bin").write_bytes(content)
    assert_refused_at_once(tmp_path / "p.bin", kind, says)


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("archive/data/0", bytes(200 << 20))
    assert_refused_at_once(tmp_path / "p.bin", "pro_gan_pytorch", "its members are compressed")


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("archive/data/0", bytes(1 << 20))
        for number in range(1, 9000):
            member = copy.copy(archive.filelist[1])
            member.filename = f"archive/data/{number}"
            archive.filelist.append(member)
    assert_refused_at_once(tmp_path / "p.bin", "pro_gan_pytorch", "claim more bytes than the file")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Call(bytearray, 10 * BILLION), r"__builtin__\.bytearray"),
        (Call(torch.UntypedStorage, 10 * BILLION), r"torch\.storage\.UntypedStorage"),
    ],
)
def test_calls_that_allocate_memory_are_refused(tmp_path: Path, call: Call, name: str) -> None:
    torch.save({"generator": call}, tmp_path / "p.bin")
    assert_refused_at_once(tmp_path / "p.bin", "pro_gan_pytorch", f"it names {name}")


def test_tensor_that_repeats_one_number_is_refused(tmp_path: Path) -> None:
    state = {"layers.0.conv_1.weight": torch.zeros(1, 1, 1, 1).expand(99_999, 99_999, 4, 4)}
    state["layers.0.conv_1.bias"] = torch.zeros(1)
    torch.save({"generator": {"conf": {"depth": 3}, "state_dict": state}}, tmp_path / "p.bin")
    says = r"generator.state_dict.layers.0.conv_1.weight has the shape .* not hold as many numbers"
    assert_refused_at_once(tmp_path / "p.bin", "pro_gan_pytorch", says)


def test_storage_larger_than_the_file_is_refused(tmp_path: Path) -> None:
    torch.save({"generator": torch.zeros(77)}, tmp_path / "whole.bin")
    with zipfile.ZipFile(tmp_path / "whole.bin") as whole:
        members = {member.filename: whole.read(member) for member in whole.infolist()}
    claim = (b"K" + bytes([77]), b"\x8a\x05" + (10**11).to_bytes(5, "little"))
    with zipfile.ZipFile(tmp_path / "p.bin", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(*claim))
    assert_refused_at_once(tmp_path / "p.bin", "pro_gan_pytorch", "no checkpoint of tensors")


@pytest.mark.parametrize("value", [{"a": [1, 2, {"b": (3, None, "x")}]}, torch.zeros(3), [()] * 9])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_modest_pickles_are_read_to_their_end(value: Any, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    file = io.BytesIO(content + b"more")
    require_modest(file)
    assert file.read() == b"more"


@pytest.mark.parametrize("kind", ["tensorflow", "pytorch_gan_zoo", "pro_gan_pytorch"])
@pytest.mark.parametrize("value", [{}, [], None, torch.zeros(2)])
def test_file_of_torch_with_something_else(tmp_path: Path, kind: str, value: Any) -> None:
    torch.save(value, tmp_path / "x.pt")
    assert_refused(tmp_path / "x.pt", kind, "")
