"""Exact search over blocks of vectors: the arithmetic that every vector index shares.

A block is scanned by its eight-bit codes where it has them, in float32 where not; whatever comes within the proven error
of the k-th best is scored again in float64 from the vector itself, the same way whichever path led there. So nothing is
missed, the result does not depend on how the vectors are cut into blocks, on codes, on the filter or on the number of
queries, and ties fall to the smaller row.

It knows positions and rows, not where vectors come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import faiss as _typed_faiss
import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Allowed, Vectors
from retrieval.dense.codes import Codes, Scan

faiss: Any = _typed_faiss  # its type stubs lack half of what it has

Rows = NDArray[np.int64]
Positions = NDArray[np.int64]

# Beyond this share of a block, comparing all of it is quicker than first copying the wanted vectors together.
_GATHER_SHARE = 0.8
# Scores of one group of queries are held at once: (queries, positions) float32.
_QUERIES_AT_ONCE = 16
# So few vectors are looked at themselves: it takes less than a scan of their codes and a choice.
_FEW = 1024
_GATHERED_AT_ONCE = 256
# Codes are asked for more than k, so that most often all within the error are among them.
_SPARE_SHARE = 1.0
_SPARE = 64


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
    keep: NDArray[np.bool_],
    queries: Vectors,
    k: int,
    codes: Sequence[Codes | None] = (),
) -> list[list[tuple[int, float]]]:
    """Per query, the ``k`` best of the kept positions by inner product.

    Args:
        blocks: vectors of the positions 0 … n-1, one block after the other.
        rows: (n,) the row of each position.
        keep: (n,) the positions that are looked at.
        queries: (n_queries, dim)
        k: at least 1.
        codes: of the first so many blocks.

    Returns:
        Per query up to ``k`` (row, score), best first, ties by smaller row.
    """
    count = int(np.count_nonzero(keep))
    if count <= max(k, _FEW):
        positions = np.flatnonzero(keep)
        return [_decide(blocks, rows, positions, query, k) for query in queries]
    coded, plain = _split(blocks, codes)
    beside = [start + np.flatnonzero(keep[start : start + len(block)]) for start, block in plain]
    n_coded = count - sum(map(len, beside))
    among = _Coded(coded, None if count == len(keep) else keep, n_coded)
    results: list[list[tuple[int, float]]] = []
    for first in range(0, len(queries), _QUERIES_AT_ONCE):
        group = queries[first : first + _QUERIES_AT_ONCE]
        scores = _scores(plain, beside, group)  # (n_group, n_beside)
        for query, line in zip(group, scores, strict=True):
            chosen = _within(among, query, line, beside, k)
            if chosen is None:
                chosen = np.flatnonzero(keep)
            results.append(_decide(blocks, rows, chosen, query, k))
    return results


@dataclass(frozen=True, slots=True)
class _Coded:
    """Blocks that are scanned by their codes: (position of the first vector, codes) of each."""

    blocks: list[tuple[int, Codes]]
    keep: NDArray[np.bool_] | None  # the positions that are looked at; None: all
    count: int  # of vectors in these blocks that are looked at


def _split(
    blocks: Sequence[Vectors], codes: Sequence[Codes | None]
) -> tuple[list[tuple[int, Codes]], list[tuple[int, Vectors]]]:
    """(first position, codes) of the blocks that have codes, and (first position, vectors) of the others."""
    coded: list[tuple[int, Codes]] = []
    plain: list[tuple[int, Vectors]] = []
    start = 0
    for i, block in enumerate(blocks):
        code = codes[i] if i < len(codes) else None
        if code is None:
            plain.append((start, block))
        else:
            coded.append((start, code))
        start += len(block)
    return coded, plain


def _within(
    among: _Coded, query: NDArray[np.float32], scores: NDArray[np.float32], beside: Sequence[Positions], k: int
) -> Positions | None:
    """All positions that may be among the ``k`` best, ascending; None if some have no finite score.

    Let e bound the error of every score. The k-th best score is at most e above the k-th best true one, so what
    is truly among the best was scored no more than 2e below it. If the least that was asked for is lower still, all
    of those have been found.

    Args:
        scores: of the positions ``beside`` those with codes.
    """
    error = _rounding(query)
    near, where = scores[:0], np.empty(0, dtype=np.int64)
    scan, asked = None, 0
    if among.count:
        scan = Scan(among.blocks, query, among.keep)
        asked = min(among.count, int(k * (1.0 + _SPARE_SHARE)) + _SPARE)
        near, where = scan.nearest(asked)
        error += scan.error
    every = np.concatenate([near, scores])
    if len(near) < asked or len(every) < k:
        return None
    least = float(np.partition(every, len(every) - k)[len(every) - k]) - 2.0 * error
    if scan is not None and asked < among.count and not near.min() < least:
        where = scan.above(least)
    else:
        where = where[near >= least]
    there = np.concatenate([*beside, where[:0]])
    return np.sort(np.concatenate([where, there[scores >= least]]))


def _decide(
    blocks: Sequence[Vectors], rows: Rows, chosen: Positions, query: NDArray[np.float32], k: int
) -> list[tuple[int, float]]:
    """The ``k`` best of ``chosen``, by the vectors themselves: in float32 first where that spares much of the rest."""
    if len(chosen) > 2 * k + _GATHERED_AT_ONCE:
        scores = np.empty((1, len(chosen)), dtype=np.float32)
        done = 0
        for vectors in _gathered(blocks, chosen):
            _inner_products(query[None], vectors, scores[:, done : done + len(vectors)])
            done += len(vectors)
        least = np.partition(scores[0], len(chosen) - k)[len(chosen) - k] - 2.0 * _rounding(query)
        chosen = chosen[scores[0] >= least]
    exact = [exact_scores(vectors, query) for vectors in _gathered(blocks, chosen)]
    return ranked(rows[chosen], np.concatenate([*exact, np.empty(0, dtype=np.float32)]))[:k]


def _scores(
    blocks: Sequence[tuple[int, Vectors]], positions: Sequence[Positions], queries: Vectors
) -> NDArray[np.float32]:
    """(n_queries, n_positions) inner products; ``positions`` are those that are looked at in each block."""
    scores = np.empty((len(queries), sum(map(len, positions))), dtype=np.float32)
    done = 0
    for (start, block), inside in zip(blocks, positions, strict=True):
        chosen = scores[:, done : done + len(inside)]
        if len(inside) == len(block):
            _inner_products(queries, block, chosen)
        elif len(inside) > _GATHER_SHARE * len(block):
            whole = np.empty((len(queries), len(block)), dtype=np.float32)
            _inner_products(queries, block, whole)
            chosen[:] = whole[:, inside - start]
        else:  # some at a time: copies that stay in the cache take half the time of one large one
            for first in range(0, len(inside), _GATHERED_AT_ONCE):
                some = block[inside[first : first + _GATHERED_AT_ONCE] - start]
                _inner_products(queries, some, chosen[:, first : first + len(some)])
        done += len(inside)
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
    parts = list(_gathered(blocks, positions))
    return np.concatenate(parts) if len(parts) != 1 else parts[0]


def _gathered(blocks: Sequence[Vectors], positions: Positions) -> Iterator[Vectors]:
    """The vectors at ``positions`` (ascending), some at a time: small copies stay in the cache."""
    ends = np.cumsum([len(block) for block in blocks])
    stops = np.searchsorted(positions, ends).tolist()
    done = 0
    for block, end, stop in zip(blocks, ends.tolist(), stops, strict=True):
        for first in range(done, stop, _GATHERED_AT_ONCE):
            yield block[positions[first : min(stop, first + _GATHERED_AT_ONCE)] - (end - len(block))]
        done = stop


def rescore(vectors: Vectors, rows: Rows, query: NDArray[np.float32]) -> list[tuple[int, float]]:
    """(row, inner product), best first, ties by smaller row; summed in float64, so that equal vectors score equal."""
    return ranked(rows, exact_scores(vectors, query))


def exact_scores(vectors: Vectors, query: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) inner products, summed in float64 and rounded once."""
    # einsum adds every row's terms in one order; a BLAS product may not. Its own casting takes three times as long.
    scores: NDArray[np.float64] = np.einsum("ij,j->i", vectors.astype(np.float64), query.astype(np.float64))
    return scores.astype(np.float32)


def ranked(rows: Rows, scores: NDArray[np.float32]) -> list[tuple[int, float]]:
    """(row, score), best first, ties by smaller row."""
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
