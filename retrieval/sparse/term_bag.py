"""Passages as bags of terms in memory: what the scorers written in Python count on.

A change is cheap and the counts are made anew at the next search, so these indexes suit small collections and
comparisons. It knows no formula.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Allowed, Chunk
from retrieval.sparse.languages import LanguageKey, language_key
from retrieval.sparse.passage import PassageReader, ReadPassage
from retrieval.sparse.quoted import Phrase

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TermCounts:
    """The statistics of one moment. Positions count the passages by ascending row."""

    rows: NDArray[np.int64]  # (n,)
    passages: tuple[tuple[str, ...], ...]  # (n,) terms with repetitions, in their order
    postings: dict[str, tuple[NDArray[np.int64], Floats]]  # term → positions with it, and how often it is there
    lengths: Floats  # (n,) number of terms, repetitions included
    words: tuple[str, ...]  # (n,) see ``ReadPassage``
    languages: dict[int, frozenset[LanguageKey]]  # of each collection

    @property
    def n(self) -> int:
        return len(self.rows)

    def df(self, term: str) -> int:
        """In how many passages the term is."""
        return len(self.postings[term][0]) if term in self.postings else 0

    def with_any(self, terms: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) which passages have one of ``terms``."""
        matched = np.zeros(self.n, dtype=np.bool_)
        for term in set(terms) & self.postings.keys():
            matched[self.postings[term][0]] = True
        return matched

    def with_phrase(self, phrase: Phrase) -> NDArray[np.bool_]:
        """(n,) which passages have these words next to each other."""
        sought = f" {' '.join(phrase)} "
        return np.fromiter((sought in words for words in self.words), dtype=np.bool_, count=self.n)

    def best(self, matched: NDArray[np.bool_], scores: Floats, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        """The ``k`` best of the allowed passages that ``matched``, (n,); ties by smaller row."""
        positions = np.flatnonzero(matched)
        rows = self.rows[positions]
        positions = positions[rows < len(allowed.rows)]
        positions = positions[allowed.rows[self.rows[positions]]]
        order = np.lexsort((self.rows[positions], -scores[positions]))[:k]
        best = positions[order]
        return list(zip(self.rows[best].tolist(), scores[best].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Held:
    passage: ReadPassage
    collection_id: int
    language: LanguageKey


class TermBag:
    """Row → terms. Thread-safe."""

    def __init__(self, reader: PassageReader) -> None:
        self.reader = reader
        self._lock = threading.Lock()
        self._passages: dict[int, _Held] = {}
        self._counts: TermCounts | None = None

    def __len__(self) -> int:
        return len(self._passages)

    def add(
        self,
        rows: Sequence[int],
        chunks: Sequence[Chunk],
        titles: Sequence[str],
        collection_ids: Sequence[int],
        languages: Sequence[str | None] | None,
    ) -> None:
        """Adds passages; a row that is there already is replaced."""
        known = [None] * len(chunks) if languages is None else languages
        read = self.reader.read_all(chunks, titles, known)
        new = {
            row: _Held(passage, collection_id, language_key(language))
            for row, passage, collection_id, language in zip(rows, read, collection_ids, known, strict=True)
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


def _count(held: dict[int, _Held]) -> TermCounts:
    rows = sorted(held)
    passages = {row: held[row].passage.terms for row in rows}
    languages: defaultdict[int, set[LanguageKey]] = defaultdict(set)
    for one in held.values():
        languages[one.collection_id].add(one.language)
    found: dict[str, tuple[list[int], list[int]]] = {}
    for position, row in enumerate(rows):
        for term, count in Counter(passages[row]).items():
            positions, counts = found.setdefault(term, ([], []))
            positions.append(position)
            counts.append(count)
    return TermCounts(
        rows=np.array(rows, dtype=np.int64),
        passages=tuple(tuple(passages[row]) for row in rows),
        postings={
            term: (np.array(positions, dtype=np.int64), np.array(counts, dtype=np.float64))
            for term, (positions, counts) in found.items()
        },
        lengths=np.array([len(passages[row]) for row in rows], dtype=np.float64),
        words=tuple(held[row].passage.words for row in rows),
        languages={collection_id: frozenset(keys) for collection_id, keys in languages.items()},
    )
