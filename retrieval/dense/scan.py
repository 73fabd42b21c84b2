"""Exact search over blocks of vectors: the arithmetic that every vector index shares.

A block is scanned by its eight-bit codes where it has them, in float32 where not; whatever comes within the proven error
of the k-th best is scored again in float64 from the vector itself, the same way whichever path led there. So nothing is
missed, the result does not depend on how the vectors are cut into blocks, on codes, on the filter or on the number of
queries, and ties fall to the smaller row.

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
from retrieval.dense.codes import Codes, nearest

faiss: Any = _typed_faiss  # its type stubs lack half of what it has

Rows = NDArray[np.int64]
Positions = NDArray[np.int64]

# Beyond this share of a block, comparing all of it is quicker than first copying the wanted vectors together.
_GATHER_SHARE = 0.4
# Scores of one group of queries are held at once: (queries, positions) float32.
_QUERIES_AT_ONCE = 16
# So few vectors are scored in float64 at once: it takes less than a scan and a choice.
_FEW = 256
# Codes are asked for more than k, so that most often all within the error are among them.
_SPARE_SHARE = 1.0
_SPARE = 64
_MORE = 8  # and for so many times as many where they were not


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
    blocks: Sequence[Vectors],
    rows: Rows,
    positions: Positions,
    queries: Vectors,
    k: int,
    codes: Sequence[Codes | None] = (),
) -> list[list[tuple[int, float]]]:
    """Per query, the ``k`` best of ``positions`` by inner product.

    Args:
        blocks: vectors of the positions 0 … n-1, one block after the other.
        rows: (n,) the row of each position.
        positions: ascending; the only ones looked at.
        queries: (n_queries, dim)
        k: at least 1.
        codes: of the first so many blocks; such a block begins at a multiple of 8.

    Returns:
        Per query up to ``k`` (row, score), best first, ties by smaller row.
    """
    if len(positions) <= max(k, _FEW):
        vectors = gather(blocks, positions) if len(positions) else np.empty((0, queries.shape[1]), np.float32)
        return [rescore(vectors, rows[positions], query)[:k] for query in queries]
    coded, plain, beside = _split(blocks, codes, positions)
    keep = _bits(positions, sum(map(len, blocks))) if coded else None
    n_coded = len(positions) - len(beside)
    results: list[list[tuple[int, float]]] = []
    for first in range(0, len(queries), _QUERIES_AT_ONCE):
        group = queries[first : first + _QUERIES_AT_ONCE]
        scores = _scores(plain, beside, group)  # (n_group, n_beside)
        for query, line in zip(group, scores, strict=True):
            chosen = _within(coded, keep, n_coded, query, line, beside, k)
            if chosen is None:
                chosen = positions
            results.append(rescore(gather(blocks, chosen), rows[chosen], query)[:k])
    return results


_Blocks = list[tuple[int, Codes]]  # (position of the first vector, codes)


def _split(
    blocks: Sequence[Vectors], codes: Sequence[Codes | None], positions: Positions
) -> tuple[_Blocks, list[tuple[int, Vectors]], Positions]:
    """Blocks with codes, (first position, vectors) of the others, and which positions are in the latter."""
    coded: _Blocks = []
    plain: list[tuple[int, Vectors]] = []
    beside = []
    start = done = 0
    for i, block in enumerate(blocks):
        stop = int(np.searchsorted(positions, start + len(block)))
        code = codes[i] if i < len(codes) else None
        if code is not None:
            coded.append((start, code))
        else:
            plain.append((start, block))
            beside.append(positions[done:stop])
        start, done = start + len(block), stop
    return coded, plain, np.concatenate(beside) if beside else positions[:0]


def _bits(positions: Positions, n: int) -> NDArray[np.uint8] | None:
    """A bit for each of ``n`` positions, the least significant first; None if all are set."""
    if len(positions) == n:
        return None
    mask = np.zeros(n, dtype=np.bool_)
    mask[positions] = True
    return np.packbits(mask, bitorder="little")


def _within(
    coded: _Blocks,
    keep: NDArray[np.uint8] | None,
    n_coded: int,
    query: NDArray[np.float32],
    scores: NDArray[np.float32],
    beside: Positions,
    k: int,
) -> Positions | None:
    """All positions that may be among the ``k`` best, ascending; None if some have no finite score.

    Let e bound the error of every score. The k-th best score found is at most e above the k-th best true one, so
    what is truly among the best was scored no more than 2e below it. If the heap's least is lower still, all of those are in it.
    """
    error = max([_rounding(query), *(block.error(query) for _, block in coded)])
    wanted = min(n_coded, int(k * (1.0 + _SPARE_SHARE)) + _SPARE)
    while True:
        near, where = nearest(coded, query, wanted, keep) if wanted else (scores[:0], beside[:0])
        if len(near) < wanted:
            return None
        every = np.concatenate([near, scores])
        least = np.partition(every, len(every) - k)[len(every) - k] - 2.0 * error
        if wanted == n_coded or near.min(initial=np.inf) < least:
            return np.sort(np.concatenate([where[near >= least], beside[scores >= least]]))
        wanted = min(n_coded, wanted * _MORE)


def _scores(blocks: Sequence[tuple[int, Vectors]], positions: Positions, queries: Vectors) -> NDArray[np.float32]:
    scores = np.empty((len(queries), len(positions)), dtype=np.float32)
    done = 0
    for start, block in blocks:
        stop = int(np.searchsorted(positions, start + len(block)))
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
        done = stop
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


def _rounding(query: NDArray[np.float32]) -> float:
    """The most by which a float32 inner product with a unit vector is off, and the rounding of the exact score."""
    # A sum of d products is off by at most d · 2^-24 times the lengths; the rest is for rounding the result.
    return float(np.linalg.norm(query)) * (len(query) + 4) * 2.0**-24


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
    # einsum adds every row's terms in one order; a BLAS product may not. Cast first: einsum's own casting takes 3 times as long.
    scores = np.einsum("ij,j->i", vectors.astype(np.float64), query.astype(np.float64)).astype(np.float32)
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
