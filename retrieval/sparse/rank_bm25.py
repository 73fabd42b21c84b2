"""The rank-bm25 package behind our contract: an outside implementation, for comparison and small collections.

Its BM25Okapi scores every passage for every query and is made anew after every change (1.4 s and 114 ms at 100,000
passages), so it is a setting, never the default.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from rank_bm25 import BM25Okapi

from core.types import Allowed, Chunk
from retrieval.sparse.analyse import Analyser
from retrieval.sparse.term_bag import TermBag, TermCounts, check_k


class RankBm25Index:
    """BM25Okapi (k1 = 1.5, b = 0.75, epsilon = 0.25 are the package's own) over our terms."""

    def __init__(self, k1: float = 1.5, b: float = 0.75, analyser: Analyser | None = None) -> None:
        self._k1 = k1
        self._b = b
        self._bag = TermBag(Analyser() if analyser is None else analyser)
        self._lock = threading.Lock()
        self._scorer: tuple[TermCounts, BM25Okapi | None] | None = None

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
        """The ``k`` allowed passages with the highest score; those that share no term with the query are left out.

        Raises:
            InvalidRequest: ``k`` is less than 1.
        """
        check_k(k)
        counts, scorer = self._current()
        terms = self._bag.analyser.terms(query)
        if scorer is None or not terms:
            return []
        return counts.best(terms, np.asarray(scorer.get_scores(terms), dtype=np.float64), k, allowed)

    def _current(self) -> tuple[TermCounts, BM25Okapi | None]:
        counts = self._bag.counts()
        with self._lock:
            if self._scorer is None or self._scorer[0] is not counts:
                # The package divides by the number of terms: it cannot be made of passages without any.
                scorer = BM25Okapi(counts.passages, k1=self._k1, b=self._b) if counts.postings else None
                self._scorer = (counts, scorer)
            return self._scorer
