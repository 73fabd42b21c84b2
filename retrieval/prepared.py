"""What the indexes hold of an edition before it is searched, so that switching to it takes a moment however large it is.

Nobody finds it: the catalogue does not know it yet. An index that was opened or built anew since may lack it, so what is
prepared counts only for the very indexes that were there. Prepared knows neither databases nor searches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.projection import DocumentRuns


class Prepared:
    """Not thread-safe: the engine's write lock is held around each call."""

    def __init__(self) -> None:
        self._runs: dict[int, range] = {}  # doc_number → its rows
        self._indexes: tuple[object, ...] = ()

    def add(self, runs: DocumentRuns, indexes: Sequence[object]) -> None:
        """These documents were given to ``indexes``."""
        if not self._same(indexes):
            self._runs, self._indexes = {}, tuple(indexes)
        for number, first, n in zip(runs.doc_number, runs.first_row, runs.n_rows, strict=True):
            self._runs[int(number)] = range(int(first), int(first) + int(n))

    def lacking(self, runs: DocumentRuns, indexes: Sequence[object]) -> DocumentRuns:
        """Those of ``runs`` that are still to be given to ``indexes``."""
        if not self._runs or not self._same(indexes):
            return runs
        return runs.only(~np.isin(runs.doc_number, np.fromiter(self._runs, dtype=np.int64)))

    def forget(self, runs: DocumentRuns) -> None:
        """These are searched from now on."""
        for number in runs.doc_number.tolist():
            self._runs.pop(number, None)

    @property
    def rows(self) -> list[range]:
        return list(self._runs.values())

    def drain(self) -> list[range]:
        """Forgets all; returns the rows that the indexes should let go of."""
        rows, self._runs = self.rows, {}
        return rows

    def _same(self, indexes: Sequence[object]) -> bool:
        return len(indexes) == len(self._indexes) and all(a is b for a, b in zip(indexes, self._indexes, strict=True))
