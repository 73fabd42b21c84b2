"""Where a parser reads from: a file on disk, or one in memory (an attachment, a chapter), since the child writes none."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """The part of ``Path`` that parsers use, over bytes."""

    data: bytes

    def open(self, mode: Literal["rb"] = "rb") -> io.BytesIO:
        return io.BytesIO(self.data)

    def read_bytes(self) -> bytes:
        return self.data


File: TypeAlias = Path | MemoryFile


def size_of(file: File) -> int:
    """Bytes."""
    return len(file.data) if isinstance(file, MemoryFile) else file.stat().st_size
