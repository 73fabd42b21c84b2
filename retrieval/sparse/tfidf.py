"""TF-IDF with cosine similarity, weighted ltc on both sides (SMART notation: Salton and Buckley 1988)."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np

from core.types import Allowed, Chunk
from retrieval.sparse.analyse import Analyser
from retrieval.sparse.term_bag import Floats, TermBag, TermCounts, check_k


def ltc_weight(tf: Floats, df: int, N: int) -> Floats:
    """(1 + ln tf) · ln(N / df), before the division by the vector's length; 0 for a term in every passage."""
    weight: Floats = (1.0 + np.log(tf)) * math.log(N / df)
    return weight


def norms(counts: TermCounts) -> Floats:
    """Euclidean lengths of the passages' weight vectors: (n,)."""
    squares = np.zeros(counts.n, dtype=np.float64)
    for term, (positions, tf) in counts.postings.items():
        squares[positions] += ltc_weight(tf, counts.df(term), counts.n) ** 2
    lengths: Floats = np.sqrt(squares)
    return lengths


def cosine(counts: TermCounts, lengths: Floats, terms: Sequence[str]) -> Floats:
    """Cosine of the query's and each passage's weights: (n,); 0 where either has no weight at all."""
    scores = np.zeros(counts.n, dtype=np.float64)
    square = 0.0
    for term, count in Counter(terms).items():
        if term not in counts.postings:
            continue  # an unknown term lengthens every comparison alike
        weight = float(ltc_weight(np.array([count], dtype=np.float64), counts.df(term), counts.n)[0])
        square += weight**2
        positions, tf = counts.postings[term]
        scores[positions] += weight * ltc_weight(tf, counts.df(term), counts.n)
    divisor = lengths * math.sqrt(square)
    return np.divide(scores, divisor, out=np.zeros_like(scores), where=divisor > 0)


class TfidfIndex:
    """TF-IDF in memory, exact in float64. Additions show at the next search, which counts everything anew."""

    def __init__(self, analyser: Analyser | None = None) -> None:
        self._bag = TermBag(Analyser() if analyser is None else analyser)
        self._lock = threading.Lock()
        self._norms: tuple[TermCounts, Floats] | None = None

    def __len__(self) -> int:
        return len(self._bag)

    def add(
        self, rows: Sequence[int], chunks: Sequence[Chunk], titles: Sequence[str], collection_ids: Sequence[int]
    ) -> None:
        """Adds passages; a row that is there already is replaced. ``collection_ids`` are not needed here."""
        self._bag.add(rows, chunks, titles)

    def remove(self, rows: Sequence[int]) -> None:
        """Removes rows; unknown ones are ignored."""
        self._bag.remove(rows)

    def commit(self) -> None:
        """Nothing to do: changes are visible already, and nothing is kept on disk."""

    def close(self) -> None:
        """Nothing to give back."""

    def search(self, query: str, k: int, allowed: Allowed) -> list[tuple[int, float]]:
        """The ``k`` allowed passages of highest cosine; those that share no term with the query are left out.

        Raises:
            InvalidRequest: ``k`` is less than 1.
        """
        check_k(k)
        counts, lengths = self._current()
        terms = self._bag.analyser.terms(query)
        return counts.best(terms, cosine(counts, lengths, terms), k, allowed)

    def _current(self) -> tuple[TermCounts, Floats]:
        counts = self._bag.counts()
        with self._lock:
            if self._norms is None or self._norms[0] is not counts:
                self._norms = (counts, norms(counts))
            return self._norms
