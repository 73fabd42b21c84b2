"""Which rows exist at which change, in memory: the one thing that decides what a search may return.

The indexes are told of a new row before the catalogue and of a removed one after it, so whatever the catalogue shows
is in all of them. A search takes one ``Snapshot`` and hands its ``Allowed`` to every index: a document is then in
all of their answers or in none.

Multi-version without copying: rows are appended, and a snapshot knows how many there were; a removal writes the
change's number beside the row, and a snapshot that is older does not heed it. Rows of an earlier edition of a
collection come back when a person switches back to it: the change that brought them is written beside them, too.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.types import Allowed
from retrieval.projection import DocumentRuns

_ALIVE = np.iinfo(np.int64).max
_NEVER = 0  # "removed at change 0": a row id that no document has
_CACHED_FILTERS = 64


@dataclass(frozen=True, slots=True)
class _Columns:
    """By row id; longer than what is used, so that appending copies nothing."""

    added: NDArray[np.int64]  # change that added the row, or brought it back
    removed: NDArray[np.int64]  # change that removed the row, _ALIVE, or _NEVER
    collection: NDArray[np.int32]
    document: NDArray[np.int64]  # doc_number


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows as of one change. It stays as it is whatever is written meanwhile."""

    change: int
    n_rows: int  # row ids below this one existed
    _columns: _Columns
    _cache: dict[object, Allowed] = field(default_factory=dict)

    def allowed(
        self,
        collection_ids: Sequence[int],
        documents: NDArray[np.int64] | None = None,
        *,
        cache_key: object = None,
    ) -> Allowed:
        """The rows of these collections, and of these documents only unless None.

        Args:
            collection_ids: what the asking person may read.
            documents: doc_numbers that the filters let through.
            cache_key: names the filters; the same key must always mean the same ``documents``.
        """
        key = (tuple(sorted(collection_ids)), cache_key)
        cacheable = documents is None or cache_key is not None
        if cacheable and (found := self._cache.get(key)) is not None:
            return found
        n = self.n_rows
        rows = self._columns.removed[:n] > self.change
        rows &= self._columns.added[:n] <= self.change
        # A look-up table beats np.isin: ids are small and dense.
        wanted = np.zeros(int(self._columns.collection[:n].max(initial=0)) + 1, dtype=np.bool_)
        ids = np.array([c for c in collection_ids if c < len(wanted)], dtype=np.int64)
        wanted[ids] = True
        rows &= wanted[self._columns.collection[:n]]
        if documents is not None:
            listed = np.zeros(int(self._columns.document[:n].max(initial=0)) + 1, dtype=np.bool_)
            listed[documents[documents < len(listed)]] = True
            rows &= listed[self._columns.document[:n]]
        rows.flags.writeable = False
        allowed = Allowed(rows=rows, count=int(np.count_nonzero(rows)), collection_ids=key[0])
        if cacheable and len(self._cache) < _CACHED_FILTERS:
            self._cache[key] = allowed
        return allowed

    def cached(self, collection_ids: Sequence[int], cache_key: object) -> Allowed | None:
        """What ``allowed`` returned before for this key, if it is kept."""
        return self._cache.get((tuple(sorted(collection_ids)), cache_key))

    def alive(self) -> NDArray[np.int64]:
        """Every visible row, ascending."""
        n = self.n_rows
        return np.flatnonzero((self._columns.removed[:n] > self.change) & (self._columns.added[:n] <= self.change))


class Catalogue:
    """One writer (its callers see to that), any number of readers."""

    def __init__(self) -> None:
        self._now = Snapshot(0, 0, _room(1024))
        self._lock = threading.Lock()
        self._active: Counter[int] = Counter()

    @property
    def change(self) -> int:
        """The newest visible change."""
        return self._now.change

    def load(self, change: int, runs: DocumentRuns) -> None:
        """Starts anew from what the database holds at ``change``."""
        rows = runs.rows
        n = int(rows.max(initial=-1)) + 1
        columns = _room(max(1024, n + n // 4))
        _write(columns, runs, rows)
        self._now = Snapshot(change, n, columns)

    def apply(self, change: int, added: DocumentRuns, removed: Sequence[tuple[int, int, int]]) -> None:
        """Makes everything up to ``change`` visible at once.

        Args:
            removed: (change, first row, number of rows).
        """
        now = self._now
        rows = added.rows
        n = max(now.n_rows, int(rows.max(initial=-1)) + 1)
        columns = now._columns
        if n > len(columns.removed):
            columns = _room(max(n, 2 * len(columns.removed)))
            for old, new in (
                (now._columns.added, columns.added),
                (now._columns.removed, columns.removed),
                (now._columns.collection, columns.collection),
                (now._columns.document, columns.document),
            ):
                new[: now.n_rows] = old[: now.n_rows]
        _write(columns, added, rows)
        back = np.zeros(n, dtype=np.bool_)  # what was removed and came back is there
        back[rows] = True
        for number, first, count in removed:
            run = slice(first, min(first + count, n))
            columns.removed[run][(columns.removed[run] == _ALIVE) & ~back[run]] = number
        self._now = Snapshot(change, n, columns)

    def may_apply(self, added: DocumentRuns) -> bool:
        """Whether no search looks at a moment from before the removal of a row that is to come back."""
        rows = added.rows
        removed = self._now._columns.removed
        gone = removed[rows[rows < len(removed)]]
        return int(gone[gone != _ALIVE].max(initial=_NEVER)) <= self.oldest_in_use()

    def dead(self, rows: range) -> list[int]:
        """Those of ``rows``, which a change removed, that have not come back."""
        run = self._now._columns.removed[rows.start : rows.stop]
        return [row for row in rows if row - rows.start >= len(run) or run[row - rows.start] != _ALIVE]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One moment to search in; while it is held, indexes keep what it shows."""
        with self._lock:
            snapshot = self._now
            self._active[snapshot.change] += 1
        try:
            yield snapshot
        finally:
            with self._lock:
                self._active[snapshot.change] -= 1
                if not self._active[snapshot.change]:
                    del self._active[snapshot.change]

    def newest(self) -> Snapshot:
        """The newest moment, for counting; indexes do not wait for it."""
        return self._now

    def oldest_in_use(self) -> int:
        """The change of the oldest snapshot that a search holds; the newest change if there is none."""
        with self._lock:
            return min(self._active, default=self._now.change)


def _room(capacity: int) -> _Columns:
    return _Columns(
        np.zeros(capacity, dtype=np.int64),
        np.full(capacity, _NEVER, dtype=np.int64),
        np.zeros(capacity, dtype=np.int32),
        np.zeros(capacity, dtype=np.int64),
    )


def _write(columns: _Columns, runs: DocumentRuns, rows: NDArray[np.int64]) -> None:
    columns.collection[rows] = np.repeat(runs.collection_id, runs.n_rows)
    columns.document[rows] = np.repeat(runs.doc_number, runs.n_rows)
    # What was never seen to go did not come back: it stays as old as it is.
    new = columns.removed[rows] != _ALIVE
    columns.added[rows[new]] = np.repeat(runs.added_change, runs.n_rows)[new]
    columns.removed[rows] = _ALIVE
