"""Vectors and token vectors of texts that nobody stores, from one pass, kept between runs. A cache, as ``retrieval.vector_cache``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from core.errors import OpenbookError, StorageFailed
from core.protocols import Encoder, JointEncoder
from core.types import Vectors
from retrieval.late.packed import VERSION, Packed, pack, packed_width
from retrieval.late.reading import read_both, read_packed
from retrieval.vector_cache import WORTH_KEEPING, cache_key, read_arrays, write_arrays

logger = logging.getLogger(__name__)

_AT_ONCE = 256  # texts; the token vectors of so many, 256 word pieces each, are 100 MB before they are packed
_KEPT_BYTES = 1 << 30  # of token vectors: what is written lies in memory three times


def both_cached(
    encoder: Encoder,
    texts: Sequence[str],
    folder: Path,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Vectors, list[Packed]]:
    """The vectors of ``texts``, (n, dim), and their token vectors, read from ``folder`` if they were made before.

    Args:
        report: told (texts done, all texts).
    """
    path = folder / f"{cache_key(encoder, texts, f'both-{VERSION}')}.safetensors"
    found = _read(path, len(texts), encoder.dim)
    if found is not None:
        report(len(texts), len(texts))
        return found
    parts, packed = [np.empty((0, encoder.dim), dtype=np.float32)], list[Packed]()
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE]
        if isinstance(encoder, JointEncoder):
            vectors, tokens = read_both(encoder, some)
            packed += [pack(of_text) for of_text in tokens]
        else:
            vectors = encoder.encode_documents(some)
            packed += read_packed(encoder, some)
        parts.append(vectors)
        report(start + len(some), len(texts))
    vectors = np.concatenate(parts)
    if len(texts) >= WORTH_KEEPING and sum(p.nbytes for p in packed) <= _KEPT_BYTES:
        counts = np.array([len(p) for p in packed], dtype=np.int32)
        try:
            write_arrays(path, {"vectors": vectors, "packed": np.concatenate(packed), "counts": counts})
        except StorageFailed as e:
            logger.warning("token vectors are not kept for the next run: %s", e)
    return vectors, packed


def _read(path: Path, n: int, dim: int) -> tuple[Vectors, list[Packed]] | None:
    if not path.exists():
        return None
    try:
        arrays = read_arrays(path)
        vectors, packed, counts = (arrays[name] for name in ("vectors", "packed", "counts"))
        expected = (int(counts.sum()), packed_width(dim))
        if vectors.shape != (n, dim) or counts.shape != (n,) or packed.shape != expected:
            raise OpenbookError(f"it holds {vectors.shape}, {counts.shape} and {packed.shape}")
    except (OSError, KeyError, ValueError, SafetensorError, OpenbookError) as e:
        logger.warning("the cached token vectors %s are not used and are made anew: %s", path, e)
        return None
    return vectors, np.split(packed, np.cumsum(counts)[:-1])
