"""What was found, kept until something changes. It never answers with what has changed or belongs to somebody else.

A key says everything that a search depends on but the documents: query, number of hits, settings, filters, and who
asks. The state says what the documents are: the database's change number, the collections that this person may read
at this moment, and which indexes serve. What is found in one state is kept only if the state is still the same when
the search has ended, and is given again only in that state; when a newer change is seen, everything older goes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class SearchState:
    """``change`` orders states; ``rest`` need only be equal."""

    change: int
    rest: Hashable


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheCounts:
    hits: int
    misses: int
    entries: int
    passages: int


class QueryCache(Generic[V]):
    """Thread-safe; the least recently used goes first.

    Args:
        max_passages: that all entries together may hold; 0 keeps nothing.
    """

    def __init__(self, max_passages: int) -> None:
        self._max = max_passages
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[Hashable, Hashable], tuple[V, int]] = OrderedDict()
        self._change = -1
        self._passages = 0
        self._hits = 0
        self._misses = 0

    def find(
        self,
        key: Hashable,
        state: Callable[[], SearchState | None],
        make: Callable[[], V],
        weigh: Callable[[V], int],
    ) -> tuple[V, bool]:
        """What ``make`` makes, and whether it was kept from before.

        Args:
            state: what is true now; None while nothing may be kept.
            weigh: how many passages a value holds.
        """
        before = state() if self._max else None
        if before is not None and (kept := self._kept(key, before)) is not None:
            return kept[0], True
        made = make()
        if before is not None and state() == before:
            self._keep(key, before, made, max(1, weigh(made)))
        return made, False

    def counts(self) -> CacheCounts:
        with self._lock:
            return CacheCounts(
                hits=self._hits, misses=self._misses, entries=len(self._entries), passages=self._passages
            )

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._passages = 0

    def _kept(self, key: Hashable, state: SearchState) -> tuple[V, int] | None:
        with self._lock:
            self._see(state.change)
            found = self._entries.get((key, state))
            if found is None:
                self._misses += 1
                return None
            self._hits += 1
            self._entries.move_to_end((key, state))
            return found

    def _keep(self, key: Hashable, state: SearchState, value: V, weight: int) -> None:
        with self._lock:
            self._see(state.change)
            if state.change < self._change or weight > self._max:
                return
            old = self._entries.pop((key, state), None)
            self._passages += weight - (old[1] if old else 0)
            self._entries[key, state] = value, weight
            while self._passages > self._max:
                _, (_, gone) = self._entries.popitem(last=False)
                self._passages -= gone

    def _see(self, change: int) -> None:
        """Texts of what was deleted are not held any longer than until the next look."""
        if change > self._change:
            self._change = change
            self._entries.clear()
            self._passages = 0
