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
# Below this share of a block, copying the wanted codes together is quicker than asking for each whether it is wanted.
_GATHER_SHARE = 0.4
_ROWS_AT_ONCE = 1024  # while encoding, so that what is in between stays small
# FAISS decodes a code c to vmin + vdiff (c + 0.5) / 255: with these it is c - 128. Its codec "direct_signed" would be it as it is, but
# cuts the query to whole numbers.
_AS_WHOLE = np.array([-128.5, 255.0], dtype=np.float32)
_ROUNDING = 2.0**-24  # of one operation in float32, relative


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of one block of vectors."""

    codes: NDArray[np.uint8]  # (n, dim), 128 added
    steps: NDArray[np.float32]  # (dim,), all positive
    residual: float  # the largest ‖x - s∘c‖ of the block, not less than the true one

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.steps.nbytes

    def error(self, query: NDArray[np.float32]) -> float:
        """The most by which a scanned score can differ from the inner product.

        |q·x - q·x̂| ≤ ‖q‖ ‖x - x̂‖ (Cauchy and Schwarz). And a sum of d products in float32 is off by at most about
        d 2^-24 Σ|terms|, here Σ|q_i s_i| 256 ≤ 256 √d ‖q∘s‖; twice that, since the kernel takes the offset of 128 in a sum of its own.
        """
        d = len(query)
        wide = query.astype(np.float64)
        rounding = 2.0 * (d + 8) * _ROUNDING * 256.0 * d**0.5 * float(np.linalg.norm(wide * self.steps))
        return float(np.linalg.norm(wide)) * self.residual + rounding


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
    return Codes(codes, steps, residual)


_Blocks = Sequence[tuple[int, Codes]]  # (position of the first vector, codes) of each
_Keep = NDArray[np.bool_]  # of each position


def nearest(
    blocks: _Blocks, query: NDArray[np.float32], k: int, keep: _Keep | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The ``k`` codes of highest inner product with ``query``, in no order: (scores, positions), fewer if there are fewer.

    By FAISS's kernel on the calling thread, which gives up the interpreter's lock meanwhile.

    Args:
        keep: the positions that are looked at; None: all.
    """
    scores = np.full(k, -np.inf, dtype=np.float32)  # a heap, its least element first
    positions = np.full(k, -1, dtype=np.int64)
    heap = faiss.swig_ptr(scores), faiss.swig_ptr(positions), k
    for scanner, block in _scanners(blocks, query, keep):
        scanner.scan_codes(*block, *heap)
    found = positions >= 0
    return scores[found], positions[found]


def above(blocks: _Blocks, query: NDArray[np.float32], least: float, keep: _Keep | None) -> NDArray[np.int64]:
    """The positions of all codes whose inner product with ``query`` is at least ``least``; otherwise as ``nearest``."""
    result = faiss.RangeSearchResult(1)
    partial = faiss.RangeSearchPartialResult(result)
    found = partial.new_result(0)
    below = float(np.nextafter(np.float32(least), np.float32(-np.inf)))  # FAISS returns what is greater
    for scanner, block in _scanners(blocks, query, keep):
        scanner.scan_codes_range(*block, below, found)
    partial.finalize()
    n_found = int(faiss.rev_swig_ptr(result.lims, 2)[1])
    if not n_found:
        return np.empty(0, dtype=np.int64)
    positions: NDArray[np.int64] = faiss.rev_swig_ptr(result.labels, n_found).copy()
    return positions


def _scanners(blocks: _Blocks, query: NDArray[np.float32], keep: _Keep | None) -> Iterator[tuple[Any, Any]]:
    """Per block what scans it for ``query``, and (how many codes, the codes, their positions)."""
    quantizer = faiss.ScalarQuantizer(len(query), faiss.ScalarQuantizer.QT_8bit_uniform)
    faiss.copy_array_to_vector(_AS_WHOLE, quantizer.trained)
    selector = None if keep is None else faiss.IDSelectorBitmap(np.packbits(keep, bitorder="little"))
    scanner = quantizer.select_InvertedListScanner(faiss.METRIC_INNER_PRODUCT, None, False, selector)
    try:
        for i, (start, block) in enumerate(blocks):
            codes = block.codes
            positions = np.arange(start, start + len(codes), dtype=np.int64)
            if keep is not None:
                inside = np.flatnonzero(keep[start : start + len(codes)])
                if len(inside) < _GATHER_SHARE * len(codes):
                    codes, positions = codes[inside], positions[inside]
            scaled = query * block.steps  # these live while the scanner looks at them
            scanner.set_query(faiss.swig_ptr(scaled))
            scanner.set_list(i, 0.0)
            yield scanner, (len(codes), faiss.swig_ptr(codes), faiss.swig_ptr(positions))
    finally:
        # FAISS made it for us and its Python side does not know that: 176 bytes a query would be lost.
        faiss.InvertedListScanner.__swig_destroy__(scanner)
