"""Reads what a GGUF file says of itself: its metadata, not its tensors.

Format: magic "GGUF", version, counts, then key, type and value of each entry, little-endian
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import ModelUnavailable

_MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_ENTRIES = 10_000
_MAX_STRING_BYTES = 1 << 24
_MAX_ITEMS = 1 << 24


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata without its arrays (the vocabulary is one, and long).

    Raises:
        ModelUnavailable: not a GGUF file of version 2 or 3, or a damaged one.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                raise ModelUnavailable(f"{path} is not a GGUF file", code="model-damaged")
            version, _tensors, entries = struct.unpack("<IQQ", _exactly(file, 20))
            if version not in (2, 3) or entries > _MAX_ENTRIES:
                raise ModelUnavailable(f"{path} is GGUF version {version} with {entries} entries: 2 and 3 are read")
            found = {}
            for _ in range(entries):
                key = _string(file)
                value = _value(file, _uint32(file))
                if value is not None:
                    found[key] = value
            return found
    except (OSError, EOFError, ValueError) as e:
        raise ModelUnavailable(f"cannot read {path}: {e}", code="model-damaged") from e


def context_length(path: Path) -> int | None:
    """How many tokens the model was trained to hold; None if the file does not say."""
    found = read_metadata(path)
    value = found.get(f"{found.get('general.architecture')}.context_length")
    return value if isinstance(value, int) else None


def _value(file: BinaryIO, kind: int) -> Any:
    if kind in _SCALARS:
        code = "<" + _SCALARS[kind]
        return struct.unpack(code, _exactly(file, struct.calcsize(code)))[0]
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        _skip_array(file)
        return None
    raise ValueError(f"unknown value type {kind} at byte {file.tell()}")


def _skip_array(file: BinaryIO) -> None:
    kind, count = _uint32(file), _uint64(file)
    if count > _MAX_ITEMS:
        raise ValueError(f"an array of {count} items")
    if kind in _SCALARS:
        file.seek(count * struct.calcsize("<" + _SCALARS[kind]), 1)
        return
    for _ in range(count):
        _value(file, kind)


def _string(file: BinaryIO) -> str:
    size = _uint64(file)
    if size > _MAX_STRING_BYTES:
        raise ValueError(f"a string of {size} bytes")
    return _exactly(file, size).decode("utf-8", "replace")


def _uint32(file: BinaryIO) -> int:
    return int.from_bytes(_exactly(file, 4), "little")


def _uint64(file: BinaryIO) -> int:
    return int.from_bytes(_exactly(file, 8), "little")


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError("it ends too early")
    return data
