"""Eight-bit codes of vectors, and how far they can mislead.

A component x is kept as the whole number c nearest to x / s, with one step s for each dimension of the block; so codes take a
quarter of the memory traffic of float32. A query becomes whole numbers too, and whole numbers are what FAISS's kernel multiplies. How
far q·x can be from what it finds is bounded for each query: whoever keeps all that lies within the bound misses nothing.

It knows nothing of rows or of exact scores.
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
_ROUNDING = 2.0**-24  # of one operation in float32, relative

_Keep = NDArray[np.bool_]  # of each position


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of one block of vectors."""

    codes: NDArray[np.uint8]  # (n, dim), 128 added
    steps: NDArray[np.float32]  # (dim,), all positive
    residual: float  # not less than the largest ‖x - s∘c‖ of the block
    length: float  # not less than the largest ‖c‖ of the block

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.steps.nbytes


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
    residual = norm = length = 0.0
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        part = vectors[start : start + _ROWS_AT_ONCE]
        whole = np.clip(np.rint(part / steps), -_LEVELS, _LEVELS)
        codes[start : start + len(part)] = (whole + 128.0).astype(np.uint8)
        with np.errstate(
            over="ignore"
        ):  # a length beyond float32 is infinite, then so is the bound, and every vector is looked at
            residual = max(residual, float(np.linalg.norm(part - whole * steps, axis=1).max()))
            norm = max(norm, float(np.linalg.norm(part, axis=1).max()))
        length = max(length, float(np.linalg.norm(whole, axis=1).max()))
    # Computed in float32, so a little is added for rounding: of the norms, and of s∘c.
    slack = 1.0 + (vectors.shape[1] + 4) * _ROUNDING
    return Codes(codes, steps, residual * slack + 4.0 * _ROUNDING * (norm + residual), length * slack)


class Scan:
    """One query over some blocks of codes, by FAISS's kernel on the calling thread, which gives up the interpreter's lock.

    Args:
        blocks: (position of the first vector, codes) of each; at least one.
        query: (dim,)
        keep: the positions that are looked at; None: all.
    """

    def __init__(self, blocks: Sequence[tuple[int, Codes]], query: NDArray[np.float32], keep: _Keep | None) -> None:
        self._blocks = blocks
        self._keep = keep
        wide = query.astype(np.float64) * np.stack([block.steps for _, block in blocks])  # (n_blocks, dim)
        self._step = float(np.abs(wide).max()) / _LEVELS or 1.0  # one for all blocks: their scores are compared
        whole = np.rint(wide / self._step)
        self._whole = whole.astype(np.float32)
        self.error = _error(query, blocks, wide, whole * self._step)

    def nearest(self, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The ``k`` highest scores, in no order, and their positions; fewer if there are fewer."""
        scores = np.full(k, -np.inf, dtype=np.float32)  # a heap, its least element first
        positions = np.full(k, -1, dtype=np.int64)
        heap = faiss.swig_ptr(scores), faiss.swig_ptr(positions), k
        for scanner, block in self._scanned():
            scanner.scan_codes(*block, *heap)
        found = positions >= 0
        return scores[found] * np.float32(self._step), positions[found]

    def above(self, least: float) -> NDArray[np.int64]:
        """The positions of all whose score is at least ``least``, and perhaps of some just below."""
        result = faiss.RangeSearchResult(1)
        partial = faiss.RangeSearchPartialResult(result)
        found = partial.new_result(0)
        below = np.float32(least / self._step) - np.float32(
            1.0
        )  # before scaling, scores are whole; FAISS returns what is greater
        for scanner, block in self._scanned():
            scanner.scan_codes_range(*block, float(below), found)
        partial.finalize()
        n_found = int(faiss.rev_swig_ptr(result.lims, 2)[1])
        if not n_found:
            return np.empty(0, dtype=np.int64)
        positions: NDArray[np.int64] = faiss.rev_swig_ptr(result.labels, n_found).copy()
        return positions

    def _scanned(self) -> Iterator[tuple[Any, Any]]:
        """Per block what scans it, and (how many codes, the codes, their positions)."""
        quantizer = faiss.ScalarQuantizer(self._whole.shape[1], faiss.ScalarQuantizer.QT_8bit_direct_signed)
        keep = self._keep
        selector = None if keep is None else faiss.IDSelectorBitmap(np.packbits(keep, bitorder="little"))
        scanner = quantizer.select_InvertedListScanner(faiss.METRIC_INNER_PRODUCT, None, False, selector)
        try:
            for whole, (start, block) in zip(self._whole, self._blocks, strict=True):
                codes = block.codes
                positions = np.arange(start, start + len(codes), dtype=np.int64)
                if keep is not None:
                    inside = np.flatnonzero(keep[start : start + len(codes)])
                    if len(inside) < _GATHER_SHARE * len(codes):
                        codes, positions = codes[inside], positions[inside]
                scanner.set_query(faiss.swig_ptr(whole))
                scanner.set_list(0, 0.0)
                yield scanner, (len(codes), faiss.swig_ptr(codes), faiss.swig_ptr(positions))
        finally:
            # FAISS made it for us and its Python side does not know that: 176 bytes a query would be lost.
            faiss.InvertedListScanner.__swig_destroy__(scanner)


def _error(
    query: NDArray[np.float32],
    blocks: Sequence[tuple[int, Codes]],
    wide: NDArray[np.float64],
    kept: NDArray[np.float64],
) -> float:
    """The most by which a score can differ from the inner product: by Cauchy and Schwarz, for each block,

    |q·x - w̃·c| ≤ |q·(x - s∘c)| + |(q∘s - w̃)·c| ≤ ‖q‖ ‖x - s∘c‖ + ‖q∘s - w̃‖ ‖c‖,

    where w̃ is the query as it is multiplied. A float32 sum of d terms adds at most (d + 2) 2^-24 ‖w̃‖ ‖c‖.

    Args:
        wide: (n_blocks, dim) q∘s of each block.
        kept: (n_blocks, dim) w̃.
    """
    d = len(query)
    residuals = np.array([block.residual for _, block in blocks])
    lengths = np.array([block.length for _, block in blocks])
    lost = np.linalg.norm(wide - kept, axis=1) + (d + 2) * _ROUNDING * np.linalg.norm(kept, axis=1)
    return float((np.linalg.norm(query.astype(np.float64)) * residuals + lost * lengths).max())
