"""Reads the files run-ID.wandb, in which W&B's client keeps what it was given.

Their format is that of LevelDB's log, after a header of 7 bytes: blocks of 32 KiB hold chunks of
records, which are protocol buffers.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER, BLOCK = 7, 32768
CHUNK = struct.Struct("<IHB")
"""Checksum, length and kind of a chunk"""
WHOLE, FIRST, LAST = 1, 2, 4
"""Kinds of chunks; 3 is one in the middle of a record"""


def history_rows(file: Path) -> Iterator[dict[str, str]]:
    """What was logged, row by row: JSON values by key. Ends before a record that is cut off."""
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    protocol: Any = wandb_internal_pb2  # its classes are made when it is imported
    for data in _records(file.read_bytes()):
        try:
            record = protocol.Record.FromString(data)
        except DecodeError:
            return
        if record.WhichOneof("record_type") == "history":
            yield {item.key or ".".join(item.nested_key): item.value_json
                   for item in record.history.item}  # fmt: skip


def _records(data: bytes) -> Iterator[bytes]:
    position, parts = HEADER, list[bytes]()
    while position + CHUNK.size <= len(data):
        left = BLOCK - position % BLOCK
        if left < CHUNK.size:
            position += left  # the end of a block is padded
            continue
        _checksum, length, kind = CHUNK.unpack_from(data, position)
        chunk = data[position + CHUNK.size : position + CHUNK.size + length]
        position += CHUNK.size + length
        if len(chunk) < length or not kind:
            return
        parts = [chunk] if kind in (WHOLE, FIRST) else [*parts, chunk]
        if kind in (WHOLE, LAST):
            yield b"".join(parts)
