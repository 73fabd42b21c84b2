"""An index in memory that counts everything anew after a change, whatever the formula that scores it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from core.types import Allowed, Chunk
from retrieval.sparse.analyse import Analyser
from retrieval.sparse.term_bag import Floats, TermBag, TermCounts, check_k

Scorer = Callable[[Sequence[str]], Floats]


class CountedIndex:
    """A ``core.protocols.SparseIndex`` for small collections and comparisons. Thread-safe.

    Args:
        prepare: makes a scorer of one moment's counts; it is kept until something changes. The scorer takes the
            query's terms and returns one score for each passage, (n,).
        analyser: makes terms of passages and queries.
    """

    def __init__(self, prepare: Callable[[TermCounts], Scorer], analyser: Analyser | None) -> None:
        self._prepare = prepare
        self._bag = TermBag(Analyser() if analyser is None else analyser)
        self._lock = threading.Lock()
        self._prepared: tuple[TermCounts, Scorer] | None = None

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
        return counts.best(terms, scorer(terms), k, allowed)

    def _current(self) -> tuple[TermCounts, Scorer]:
        counts = self._bag.counts()
        with self._lock:
            if self._prepared is None or self._prepared[0] is not counts:
                self._prepared = (counts, self._prepare(counts))
            return self._prepared
