"""The choice between exact and HNSW: one graph for the bulk, exact search for what is new or narrowly filtered.

A generation of HNSW is built beside the index and adopted whole; rows added since wait in an exact delta, rows removed
since are tombstones. So additions and removals never touch the graph on the query path, and until a first generation
exists everything is exact.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Allowed, Vectors
from retrieval.dense.exact import ExactIndex
from retrieval.dense.hnsw import HnswIndex
from retrieval.dense.scan import Rows, check_vectors


@dataclass(frozen=True, slots=True)
class _Generation:
    hnsw: HnswIndex | None
    delta: ExactIndex


class AutoIndex:
    """Exact, or HNSW with an exact delta, behind one interface. One writer at a time, any number of readers.

    Args:
        dim: of the vectors.
        hnsw: a built or loaded generation, which then belongs to this index; None searches everything exactly.
    """

    def __init__(self, dim: int, hnsw: HnswIndex | None = None) -> None:
        _check_dim(dim, hnsw)
        self._dim = dim
        self._lock = threading.Lock()
        self._now = _Generation(hnsw, ExactIndex(dim))

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def kind(self) -> str:
        """What answers most searches: "exact" or "hnsw"."""
        return "exact" if self._now.hnsw is None else "hnsw"

    def __len__(self) -> int:
        now = self._now
        return len(now.delta) + (0 if now.hnsw is None else len(now.hnsw))

    @property
    def delta_rows(self) -> int:
        """Rows that wait for the next generation."""
        return len(self._now.delta)

    @property
    def nbytes(self) -> int:
        now = self._now
        return now.delta.nbytes + (0 if now.hnsw is None else now.hnsw.nbytes)

    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None:
        """Adds to the delta, visible when it returns; a row that is there already is replaced.

        Raises:
            InvalidRequest: shapes that do not fit, or a row twice in one call.
        """
        with self._lock:
            now = self._now
            now.delta.add(rows, vectors)
            if now.hnsw is not None:
                now.hnsw.remove(np.asarray(rows).tolist())

    def remove(self, rows: Sequence[int]) -> None:
        """Removes rows at once; unknown ones are ignored."""
        with self._lock:
            now = self._now
            now.delta.remove(rows)
            if now.hnsw is not None:
                now.hnsw.remove(rows)

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]:
        """Per query the best allowed rows: (row, cosine), best first, ties by smaller row.

        Exact where little of the graph is allowed or ``k`` is a large part of it; ``HnswIndex`` decides, who knows what of
        the allowed rows is in the graph.

        Raises:
            InvalidRequest: ``k`` is less than 1, or the queries have another dimension.
        """
        return self._search(self._now, queries, k, allowed, exact=False)

    def search_exact(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]:
        """As ``search``, but every allowed vector is compared whatever the filter."""
        return self._search(self._now, queries, k, allowed, exact=True)

    def _search(
        self, now: _Generation, queries: Vectors, k: int, allowed: Allowed, *, exact: bool
    ) -> list[list[tuple[int, float]]]:
        queries = check_vectors(queries, self._dim, "the queries")
        newer = now.delta.search(queries, k, allowed)
        if now.hnsw is None:
            return newer
        older = (now.hnsw.search_exact if exact else now.hnsw.search)(queries, k, allowed)
        return [_merge(a, b, k) for a, b in zip(older, newer, strict=True)]

    def adopt(self, hnsw: HnswIndex) -> None:
        """Switches to a new generation, built from ``parts()``: what it lacks stays in the delta, what was removed
        meanwhile is marked in it. Searches see the old or the new one, both complete.

        Raises:
            InvalidRequest: it has another dimension.
        """
        _check_dim(self._dim, hnsw)
        with self._lock:
            delta = ExactIndex(self._dim)
            living: list[Rows] = []
            for rows, vectors in self._parts(self._now):
                living.append(rows)
                missing = ~hnsw.holds(rows, vectors)
                delta.add(rows[missing], vectors[missing])
            stale = np.setdiff1d(hnsw.rows(), np.concatenate(living) if living else np.empty(0, dtype=np.int64))
            hnsw.remove(np.concatenate([stale, delta.rows()]).tolist())
            self._now = _Generation(hnsw, delta)

    def rows(self) -> Rows:
        """The living rows, in no particular order."""
        now = self._now
        newer = now.delta.rows()
        return newer if now.hnsw is None else np.union1d(now.hnsw.rows(), newer)

    def parts(self) -> Iterator[tuple[Rows, Vectors]]:
        """(rows, vectors) of the living, to build the next generation from."""
        return self._parts(self._now)

    @staticmethod
    def _parts(generation: _Generation) -> Iterator[tuple[Rows, Vectors]]:
        if generation.hnsw is not None:
            yield from generation.hnsw.parts()
        yield from generation.delta.parts()


def _check_dim(dim: int, hnsw: HnswIndex | None) -> None:
    if hnsw is not None and hnsw.dim != dim:
        raise InvalidRequest(f"the HNSW index has {hnsw.dim} dimensions, this one {dim}: build it from this encoder")


def _merge(older: Sequence[tuple[int, float]], newer: Sequence[tuple[int, float]], k: int) -> list[tuple[int, float]]:
    # A row that is being replaced may be in both for a moment: the delta's is the one that counts.
    rows = {row for row, _ in newer}
    merged = [*newer, *(hit for hit in older if hit[0] not in rows)]
    merged.sort(key=lambda hit: (-hit[1], hit[0]))
    return merged[:k]
