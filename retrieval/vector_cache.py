"""Encoded texts kept between runs: one file per set of texts and encoder revision, its bytes checked before use.

A cache only: it can be deleted at any time, and a file that is damaged is encoded anew.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from core.errors import OpenbookError, StorageFailed
from core.ids import new_id
from core.protocols import Encoder
from core.types import Vectors
from retrieval.files import make_folder, move_into_place, storage_errors

logger = logging.getLogger(__name__)

_STEP = 4096  # texts between two reports of progress
WORTH_KEEPING = 64  # fewer texts are encoded again sooner than read


def encode_cached(
    encoder: Encoder,
    texts: Sequence[str],
    folder: Path,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Vectors:
    """The vectors of ``texts``, (n, dim), read from ``folder`` if they were encoded before.

    Args:
        report: told (texts done, all texts).
    """
    path = folder / f"{cache_key(encoder, texts)}.safetensors"
    found = _read(path, (len(texts), encoder.dim))
    if found is not None:
        report(len(texts), len(texts))
        return found
    parts = [np.empty((0, encoder.dim), dtype=np.float32)]
    for start in range(0, len(texts), _STEP):
        parts.append(encoder.encode_documents(texts[start : start + _STEP]))
        report(min(start + _STEP, len(texts)), len(texts))
    vectors = np.concatenate(parts)
    if len(texts) >= WORTH_KEEPING:
        try:
            write_arrays(path, {"vectors": np.ascontiguousarray(vectors)})
        except StorageFailed as e:
            logger.warning("encoded vectors are not kept for the next run: %s", e)
    return vectors


def cache_key(encoder: Encoder, texts: Sequence[str], kind: str = "") -> str:
    """Names what an encoder makes of these texts; another ``kind`` of it has another name."""
    digest = hashlib.sha256(f"{encoder.revision}\0{encoder.dim}\0{kind}".encode())
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:40]


def _read(path: Path, shape: tuple[int, int]) -> Vectors | None:
    if not path.exists():
        return None
    try:
        vectors: Vectors = read_arrays(path)["vectors"]
        if vectors.shape != shape or vectors.dtype != np.float32:
            raise OpenbookError(f"it holds {vectors.dtype} {vectors.shape}, not float32 {shape}")
    except (OSError, KeyError, ValueError, SafetensorError, OpenbookError) as e:
        logger.warning("the cached vectors %s are not used and are encoded anew: %s", path, e)
        return None
    return vectors


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """What ``write_arrays`` wrote. Raises OSError, SafetensorError, or OpenbookError for a wrong checksum."""
    data = path.read_bytes()
    digest, body = data[:32], data[32:]
    if hashlib.sha256(body).digest() != digest:
        raise OpenbookError("its checksum is wrong")
    return safetensors.numpy.load(body)


def write_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """The SHA-256 of a safetensors file, then the file. Raises StorageFailed."""
    with storage_errors("keep encoded vectors"):
        make_folder(path.parent)
        temp = path.with_name(new_id("t") + ".tmp")
        try:
            body = safetensors.numpy.save(arrays)
            temp.write_bytes(hashlib.sha256(body).digest() + body)
            move_into_place(temp, path)
        finally:
            temp.unlink(missing_ok=True)
