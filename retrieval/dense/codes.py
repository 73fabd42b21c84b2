"""Eight-bit codes of vectors, and how far they can mislead.

A component x is kept as the whole number c nearest to x / s, with one step s for each dimension of the block; so the codes take a
quarter of the memory traffic of float32, and q·x is near (q∘s)·c. Every block knows its largest ‖x - s∘c‖, from
which ``error`` bounds the difference for any query: whoever keeps all that lies within the bound misses nothing.

It knows nothing of rows, filters or exact scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import faiss as _typed_faiss
import numpy as np
from numpy.typing import NDArray

from core.types import Vectors

faiss: Any = _typed_faiss  # its type stubs lack half of what it has

_LEVELS = 127  # codes are -127 … 127, stored with 128 added
_ROWS_AT_ONCE = 1024  # while encoding, so that what is in between stays small
_ROUNDING = 2.0**-24  # of one operation in float32, relative


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of one block of vectors."""

    codes: NDArray[np.uint8]  # (n, dim), 128 added
    steps: NDArray[np.float32]  # (dim,), all positive
    residual: float  # the largest ‖x - s∘c‖ of the block, not less than the true one
    norm: float  # the largest ‖x‖ + residual of the block

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.steps.nbytes

    def error(self, query: NDArray[np.float32]) -> float:
        """The most by which a scanned score can differ from the inner product.

        |q·x - q·x̂| ≤ ‖q‖ ‖x - x̂‖ (Cauchy and Schwarz); and a sum of d products of float32 is off by at most
        (d + 2) 2^-24 Σ|terms| ≤ (d + 2) 2^-24 ‖q‖ ‖x̂‖.
        """
        length = float(np.linalg.norm(query.astype(np.float64)))
        return length * (self.residual + (len(query) + 2) * _ROUNDING * self.norm)


def encode(vectors: Vectors, steps: NDArray[np.float32] | None = None) -> Codes:
    """Codes of (n, dim) vectors, n at least 1.

    Args:
        steps: (dim,); None takes those that let the largest value of each dimension just fit. With given ones, larger
            values are cut off, which shows in ``residual``.
    """
    if steps is None:
        steps = np.abs(vectors).max(axis=0) / np.float32(_LEVELS)
        steps = np.where(steps > 0, steps, np.float32(1.0)).astype(np.float32)
    codes = np.empty(vectors.shape, dtype=np.uint8)
    residual = norm = 0.0
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        part = vectors[start : start + _ROWS_AT_ONCE]
        whole = np.clip(np.rint(part / steps), -_LEVELS, _LEVELS)
        codes[start : start + len(part)] = (whole + 128.0).astype(np.uint8)
        residual = max(residual, float(np.linalg.norm(part - whole * steps, axis=1).max()))
        norm = max(norm, float(np.linalg.norm(part, axis=1).max()))
    # Computed in float32, so a little is added for rounding: of the norms, and of s∘c.
    slack = (vectors.shape[1] + 4) * _ROUNDING
    residual = residual * (1.0 + slack) + 2.0 * _ROUNDING * norm
    return Codes(codes, steps, residual, norm * (1.0 + slack) + residual)


_Blocks = Sequence[tuple[int, Codes]]  # (position of the first vector, a multiple of 8; codes) of each
_Bits = NDArray[np.uint8]  # one for each position, the least significant first


def nearest(
    blocks: _Blocks, query: NDArray[np.float32], k: int, bits: _Bits | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The ``k`` codes of highest inner product with ``query``, in no order: (scores, positions), fewer if there are fewer.

    By FAISS's kernel on the calling thread, which gives up the interpreter's lock meanwhile.

    Args:
        bits: only positions whose bit is set are looked at; None: all.
    """
    scores = np.full(k, -np.inf, dtype=np.float32)  # a heap, its least element first
    labels = np.full(k, -1, dtype=np.int64)
    heap = faiss.swig_ptr(scores), faiss.swig_ptr(labels), k
    for n, codes, scanner in _scanners(blocks, query, bits):
        scanner.scan_codes(n, codes, None, *heap)
    found = labels >= 0
    return scores[found], _positions(blocks, labels[found])


def above(blocks: _Blocks, query: NDArray[np.float32], least: float, bits: _Bits | None) -> NDArray[np.int64]:
    """The positions of all codes whose inner product with ``query`` is at least ``least``; otherwise as ``nearest``."""
    result = faiss.RangeSearchResult(1)
    partial = faiss.RangeSearchPartialResult(result)
    found = partial.new_result(0)
    below = float(np.nextafter(np.float32(least), np.float32(-np.inf)))  # FAISS returns what is greater
    for n, codes, scanner in _scanners(blocks, query, bits):
        scanner.scan_codes_range(n, codes, None, below, found)
    partial.finalize()
    n_found = int(faiss.rev_swig_ptr(result.lims, 2)[1])
    labels = faiss.rev_swig_ptr(result.labels, n_found).copy() if n_found else np.empty(0, dtype=np.int64)
    return _positions(blocks, labels)


def _scanners(blocks: _Blocks, query: NDArray[np.float32], bits: _Bits | None) -> Iterator[tuple[int, Any, Any]]:
    """Per block that has anything to look at: how many codes, where they are, and what scans them for ``query``."""
    quantizer = faiss.ScalarQuantizer(len(query), faiss.ScalarQuantizer.QT_8bit_direct_signed)
    scanner = quantizer.select_InvertedListScanner(faiss.METRIC_INNER_PRODUCT, None, True, None)
    try:
        for i, (start, block) in enumerate(blocks):
            n = len(block.codes)
            if bits is not None:
                some = bits[start // 8 : (start + n + 7) // 8]
                if not some.any():
                    continue
                selector = faiss.IDSelectorBitmap(some)  # this and the next live while the scanner looks at them
                scanner.sel = selector
            scaled = query * block.steps
            scanner.set_query(faiss.swig_ptr(scaled))
            scanner.set_list(i, 0.0)
            yield n, faiss.swig_ptr(block.codes), scanner
    finally:
        # FAISS made it for us and its Python side does not know that: 176 bytes a query would be lost.
        faiss.InvertedListScanner.__swig_destroy__(scanner)


def _positions(blocks: _Blocks, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    starts = np.array([start for start, _ in blocks], dtype=np.int64)
    positions: NDArray[np.int64] = starts[labels >> 32] + (labels & 0xFFFFFFFF)  # the list, and the place in it
    return positions
