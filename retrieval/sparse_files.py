"""Looks a tantivy folder through before it is trusted, and says which rows it holds.

Every segment file ends with a footer: JSON with the CRC-32 of what comes before it, its length, a magic number.
Tantivy writes it and does not read it back by itself, so this does. What the footers cannot tell (a segment that
``meta.json`` no longer names) shows when the rows are compared with the database's.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import tantivy
from numpy.typing import NDArray

from core.errors import IndexDamaged

_FOOTER_MAGIC = 1337
_READ_BYTES = 1 << 20
_SEGMENT_PARTS = ("idx", "pos", "term", "store", "fast", "fieldnorm", "del")


def verify_tantivy(folder: Path) -> None:
    """Raises IndexDamaged if a file of the index is missing or its bytes are not those that were written."""
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        segments = {s["segment_id"].replace("-", "") for s in meta["segments"]}
        files = [p for p in folder.iterdir() if p.suffix[1:] in _SEGMENT_PARTS]
        named = [p for p in files if p.name.split(".")[0] in segments]
        missing = segments - {p.name.split(".")[0] for p in named}
        if missing:
            raise IndexDamaged(f"{folder}: segment {min(missing)} is named in meta.json but has no files")
        for path in named:
            _verify_footer(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as e:
        raise IndexDamaged(f"{folder} cannot be read as an index: {e}") from e


def _verify_footer(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < 8:
            raise IndexDamaged(f"{path} has {size} bytes: it is cut off")
        file.seek(size - 8)
        length, magic = struct.unpack("<II", file.read(8))
        body = size - 8 - length
        if magic != _FOOTER_MAGIC or body < 0:
            raise IndexDamaged(f"{path} has no footer: it is cut off or overwritten")
        file.seek(body)
        expected = json.loads(file.read(length))["crc"]
        file.seek(0)
        crc, left = 0, body
        while left and (block := file.read(min(_READ_BYTES, left))):
            crc = zlib.crc32(block, crc)
            left -= len(block)
        if crc != expected:
            raise IndexDamaged(f"{path}: its bytes have the checksum {crc}, written were {expected}")


def stored_rows(folder: Path) -> NDArray[np.int64]:
    """The rows of the last commit, ascending; a row that is there twice comes twice.

    Raises:
        IndexDamaged: the folder cannot be opened or searched.
    """
    try:
        searcher = tantivy.Index.open(str(folder)).searcher()
        n = int(searcher.num_docs)
        if not n:
            return np.empty(0, dtype=np.int64)
        hits = searcher.search(tantivy.Query.all_query(), n, count=False, order_by_field="row").hits
    except (ValueError, OSError) as e:
        raise IndexDamaged(f"{folder} cannot be searched: {e}") from e
    return np.array([row for row, _ in hits], dtype=np.int64)[::-1]
