"""Passages as bags of terms in memory: what the scorers written in Python count on.

A change is cheap and the counts are made anew at the next search, so these indexes suit small collections and
comparisons. It knows no formula.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Allowed, Chunk
from retrieval.sparse.analyse import Analyser, passage_text

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TermCounts:
    """The statistics of one moment. Positions count the passages by ascending row."""

    rows: NDArray[np.int64]  # (n,)
    passages: tuple[tuple[str, ...], ...]  # (n,) terms with repetitions, in their order
    postings: dict[str, tuple[NDArray[np.int64], Floats]]  # term → positions with it, and how often it is there
    lengths: Floats  # (n,) number of terms, repetitions included

    @property
    def n(self) -> int:
        return len(self.rows)

    def df(self, term: str) -> int:
        """In how many passages the term is."""
        return len(self.postings[term][0]) if term in self.postings else 0

    def best(self, terms: Sequence[str], scores: Floats, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        """The ``k`` best allowed passages that have one of ``terms``; ties by smaller row."""
        matched = np.zeros(self.n, dtype=np.bool_)
        for term in set(terms) & self.postings.keys():
            matched[self.postings[term][0]] = True
        positions = np.flatnonzero(matched)
        rows = self.rows[positions]
        positions = positions[rows < len(allowed.rows)]
        positions = positions[allowed.rows[self.rows[positions]]]
        order = np.lexsort((self.rows[positions], -scores[positions]))[:k]
        best = positions[order]
        return list(zip(self.rows[best].tolist(), scores[best].tolist(), strict=True))


class TermBag:
    """Row → terms. Thread-safe."""

    def __init__(self, analyser: Analyser) -> None:
        self.analyser = analyser
        self._lock = threading.Lock()
        self._passages: dict[int, tuple[str, ...]] = {}
        self._counts: TermCounts | None = None

    def __len__(self) -> int:
        return len(self._passages)

    def add(self, rows: Sequence[int], chunks: Sequence[Chunk], titles: Sequence[str]) -> None:
        """Adds passages; a row that is there already is replaced."""
        new = {
            row: tuple(self.analyser.terms(passage_text(title, chunk)))
            for row, chunk, title in zip(rows, chunks, titles, strict=True)
        }
        with self._lock:
            self._passages.update(new)
            self._counts = None

    def remove(self, rows: Sequence[int]) -> None:
        """Removes rows; unknown ones are ignored."""
        with self._lock:
            for row in rows:
                self._passages.pop(row, None)
            self._counts = None

    def counts(self) -> TermCounts:
        """The statistics of now, made anew if something changed."""
        with self._lock:
            if self._counts is None:
                self._counts = _count(self._passages)
            return self._counts


def check_k(k: int) -> None:
    """Raises InvalidRequest unless ``k`` is at least 1."""
    if k < 1:
        raise InvalidRequest(f"k = {k}: ask for at least 1 hit")


def _count(passages: dict[int, tuple[str, ...]]) -> TermCounts:
    rows = sorted(passages)
    found: dict[str, tuple[list[int], list[int]]] = {}
    for position, row in enumerate(rows):
        for term, count in Counter(passages[row]).items():
            positions, counts = found.setdefault(term, ([], []))
            positions.append(position)
            counts.append(count)
    return TermCounts(
        rows=np.array(rows, dtype=np.int64),
        passages=tuple(passages[row] for row in rows),
        postings={
            term: (np.array(positions, dtype=np.int64), np.array(counts, dtype=np.float64))
            for term, (positions, counts) in found.items()
        },
        lengths=np.array([len(passages[row]) for row in rows], dtype=np.float64),
    )
