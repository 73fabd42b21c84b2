"""Exact search over blocks of vectors: the arithmetic that every vector index shares.

A block is scanned in float32; whatever comes within the rounding error of the k-th best is
scored again in float64, the same way whichever path led there. So the result does not depend on how the vectors are
cut into blocks, on the filter or on the number of queries, and ties fall to the smaller row.

It knows positions and rows, not where vectors come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faiss as _typed_faiss
import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Allowed, Vectors

faiss: Any = _typed_faiss  # its type stubs lack half of what it has

Rows = NDArray[np.int64]
Positions = NDArray[np.int64]

# Beyond this share of a block, comparing all of it is quicker than first copying the wanted vectors together.
_GATHER_SHARE = 0.4
# Scores of one group of queries are held at once: (queries, positions) float32.
_QUERIES_AT_ONCE = 16


def check_vectors(vectors: Vectors, dim: int, what: str) -> Vectors:
    """``vectors`` as C-contiguous float32 of shape (n, dim).

    Raises:
        InvalidRequest: another shape, or a value that is not a number.
    """
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != dim:
        raise InvalidRequest(f"{what} have the shape {array.shape}: (n, {dim}) is what this index takes")
    if not np.isfinite(array).all():
        raise InvalidRequest(f"{what} hold a value that is not a finite number")
    return array


def check_added(rows: Rows, vectors: Vectors, dim: int) -> tuple[Rows, Vectors]:
    """Rows and their vectors as an index stores them.

    Raises:
        InvalidRequest: as ``check_vectors``; not as many rows as vectors, or a row twice.
    """
    rows = np.asarray(rows, dtype=np.int64)
    vectors = check_vectors(vectors, dim, "the vectors to add")
    if rows.shape != (len(vectors),) or len(np.unique(rows)) != len(rows):
        raise InvalidRequest(f"{len(vectors)} vectors need as many different rows, not {rows.shape}")
    return rows, vectors


def visible(rows: Rows, allowed: Allowed) -> NDArray[np.bool_]:
    """Which of ``rows`` may be returned."""
    if len(rows) and rows.max() >= len(allowed.rows):
        inside = rows < len(allowed.rows)
        inside[inside] = allowed.rows[rows[inside]]
        return inside
    seen: NDArray[np.bool_] = allowed.rows[rows]
    return seen


def best(
    blocks: Sequence[Vectors], rows: Rows, positions: Positions, queries: Vectors, k: int
) -> list[list[tuple[int, float]]]:
    """Per query, the ``k`` best of ``positions`` by inner product.

    Args:
        blocks: vectors of the positions 0 … n-1, one block after the other.
        rows: (n,) the row of each position.
        positions: ascending; the only ones looked at.
        queries: (n_queries, dim)
        k: at least 1.

    Returns:
        Per query up to ``k`` (row, score), best first, ties by smaller row.
    """
    if not len(positions):
        return [[] for _ in queries]
    results: list[list[tuple[int, float]]] = []
    for first in range(0, len(queries), _QUERIES_AT_ONCE):
        group = queries[first : first + _QUERIES_AT_ONCE]
        scores = _scores(blocks, positions, group)  # (n_group, n_positions)
        results.extend(_top(blocks, rows, positions, query, row, k) for query, row in zip(group, scores, strict=True))
    return results


def _scores(blocks: Sequence[Vectors], positions: Positions, queries: Vectors) -> NDArray[np.float32]:
    scores = np.empty((len(queries), len(positions)), dtype=np.float32)
    start = done = 0
    for block in blocks:
        end = start + len(block)
        stop = int(np.searchsorted(positions, end))
        local = positions[done:stop] - start
        chosen = scores[:, done:stop]
        if len(local) == len(block):
            _inner_products(queries, block, chosen)
        elif len(local) > _GATHER_SHARE * len(block):
            whole = np.empty((len(queries), len(block)), dtype=np.float32)
            _inner_products(queries, block, whole)
            chosen[:] = whole[:, local]
        elif len(local):
            _inner_products(queries, block[local], chosen)
        start, done = end, stop
    return scores


def _inner_products(queries: Vectors, vectors: Vectors, out: NDArray[np.float32]) -> None:
    """``out[i, j]`` = queries[i] · vectors[j]; lines of ``out`` need not lie beside each other.

    By FAISS's kernel on the calling thread: as memory is what bounds it, BLAS with all cores gains little where they are
    idle and loses tenfold where they are not, for its threads wait for each other (45 ms against 1 measured beside a
    busy worker). It gives up the interpreter's lock while it works.
    """
    n, dim = vectors.shape
    for query, line in zip(queries, out, strict=True):
        faiss.fvec_inner_products_ny(faiss.swig_ptr(line), faiss.swig_ptr(query), faiss.swig_ptr(vectors), dim, n)


def _top(
    blocks: Sequence[Vectors],
    rows: Rows,
    positions: Positions,
    query: NDArray[np.float32],
    scores: NDArray[np.float32],
    k: int,
) -> list[tuple[int, float]]:
    if k < len(scores):
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        # An inner product of n terms in float32 is off by at most n · 2^-24 for unit vectors, on either side.
        chosen = np.flatnonzero(scores >= threshold - 2 * len(query) * 2.0**-24)
        positions = positions[chosen]
    return rescore(gather(blocks, positions), rows[positions], query)[:k]


def gather(blocks: Sequence[Vectors], positions: Positions) -> Vectors:
    """The vectors at ``positions`` (ascending), copied together: (n, dim)."""
    parts = []
    start = done = 0
    for block in blocks:
        end = start + len(block)
        stop = int(np.searchsorted(positions, end))
        if stop > done:
            parts.append(block[positions[done:stop] - start])
        start, done = end, stop
    return np.concatenate(parts) if len(parts) != 1 else parts[0]


def rescore(vectors: Vectors, rows: Rows, query: NDArray[np.float32]) -> list[tuple[int, float]]:
    """(row, inner product), best first, ties by smaller row; summed in float64, so that equal vectors score equal."""
    # einsum adds every row's terms in one order; a BLAS product may not.
    scores = np.einsum("ij,j->i", vectors, query, dtype=np.float64).astype(np.float32)
    order = np.lexsort((rows, -scores))
    return list(zip(rows[order].tolist(), scores[order].tolist(), strict=True))


class PositionTable:
    """Row → position, four bytes a row; -1 where there is none. Rows are the database's: dense, never reused."""

    def __init__(self) -> None:
        self._table: NDArray[np.int32] = np.full(1024, -1, dtype=np.int32)

    @property
    def nbytes(self) -> int:
        return self._table.nbytes

    def put(self, rows: Rows, positions: Positions) -> None:
        if len(rows) and rows.max() >= len(self._table):
            grown = np.full(max(int(rows.max()) + 1, 2 * len(self._table)), -1, dtype=np.int32)
            grown[: len(self._table)] = self._table
            self._table = grown
        self._table[rows] = positions

    def get(self, rows: Rows) -> Positions:
        """Positions of ``rows``; -1 for unknown ones."""
        positions = np.full(len(rows), -1, dtype=np.int64)
        known = (rows >= 0) & (rows < len(self._table))
        positions[known] = self._table[rows[known]]
        return positions
