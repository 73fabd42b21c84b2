"""Indexes and catalogue follow the database: what was committed becomes visible at once, in all of them together.

What was committed since the newest visible change is given to every index, and only then the catalogue moves on: from that
moment every search sees all of it. What a search may still be looking at is taken out of the indexes only after that search has
ended. Nothing here knows how an index is built anew, or how it is searched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock

from sqlalchemy import Connection

from retrieval.catalogue import Catalogue, Snapshot
from retrieval.late.keeper import LateKeeper
from retrieval.memory_terms import MemoryTerms
from retrieval.prepared import Prepared
from retrieval.projection import DocumentRuns, current_change, read_chunks, read_documents, read_removals
from retrieval.store import Store
from retrieval.terms import TermKeeper
from retrieval.vector_spaces import VectorSpaces

_AT_ONCE = 16  # documents that the indexes are given without a chance for others
_PATIENCE_S = 0.002  # between two looks whether the searches of before have ended


class Following:
    """All methods may be called from any thread.

    Args:
        catalogue: says what is visible; it is moved on here alone.
        spaces, terms, memory, late: the indexes; ``late`` reads for itself, and is only told what leaves.
        write: held while indexes and catalogue move on.
        moved: told that something became visible, or is to leave; holding ``write``.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        spaces: VectorSpaces,
        terms: TermKeeper,
        memory: MemoryTerms,
        late: LateKeeper,
        write: RLock,
        moved: Callable[[], None],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._spaces = spaces
        self._terms = terms
        self._memory = memory
        self._late = late
        self._write = write
        self._moved = moved
        self._prepared = Prepared()
        self._leaving: list[tuple[int, range]] = []  # (change, rows): hidden, not yet out of the indexes

    # ------------------------------------------------------------ what is hidden

    @property
    def leaving(self) -> bool:
        """Whether rows that nobody finds any more are still in the indexes."""
        return bool(self._leaving)

    def prepared_rows(self) -> list[range]:
        """Rows that the indexes have and nobody finds yet."""
        return self._prepared.rows

    def hidden_rows(self) -> set[int]:
        """Rows that the indexes have rightly though nobody finds them."""
        return {row for rows in (*(r for _, r in self._leaving), *self._prepared.rows) for row in rows}

    # ------------------------------------------------------------ moving on

    def catch_up(self) -> bool:
        """Makes everything that is committed visible at once; False if it was.

        Raises:
            StorageFailed: the database could not be read.
        """
        while True:
            with self._store.database.read() as connection:
                if current_change(connection) <= self._catalogue.change:
                    return False
            with self._write, self._store.database.read() as connection:
                followed = self._follow(connection)
            if followed is not None:
                return followed
            time.sleep(_PATIENCE_S)

    @contextmanager
    def with_database(self) -> Iterator[tuple[Snapshot, Connection]]:
        """One moment to search in, and a transaction that sees the same moment; waits for a change under way."""
        with ExitStack() as held:
            while True:
                self.catch_up()
                with self._write:  # so that nobody moves the catalogue past what the transaction sees
                    connection = held.enter_context(self._store.database.read())
                    if self._follow(connection) is not None:
                        snapshot = held.enter_context(self._catalogue.snapshot())
                        break
                held.close()
            yield snapshot, connection

    def _follow(self, connection: Connection) -> bool | None:
        """Moves the indexes and the catalogue on to what ``connection`` sees. The caller holds the write lock.

        Returns:
            Whether there was anything; None to be asked again, without the lock: passages come back that a search
            under way still sees as they were before they went.
        """
        visible, target = self._catalogue.change, current_change(connection)
        if target <= visible:
            return False
        added = read_documents(connection, visible)
        if not self._catalogue.may_apply(added):
            return None
        removed = read_removals(connection, visible)
        self._take_in(connection, self._prepared.lacking(added, self._indexes()))
        if len(added):
            self._commit()
        self._prepared.forget(added)
        self._catalogue.apply(target, added, removed)
        self._leaving += [(number, range(first, first + n)) for number, first, n in removed]
        self._moved()
        return True

    # ------------------------------------------------------------ editions

    def prepare(self, edition_id: int) -> None:
        """Gives the indexes all that an edition has, found by nobody yet, so that switching to it takes but a moment.

        Raises:
            StorageFailed: the database could not be read.
        """
        with self._store.database.read() as connection:
            runs = read_documents(connection, edition_id=edition_id)
        for start in range(0, len(runs), _AT_ONCE):
            with self._write, self._store.database.read() as connection:
                some = self._prepared.lacking(runs.only(slice(start, start + _AT_ONCE)), self._indexes())
                self._take_in(connection, some)
                self._prepared.add(some, self._indexes())
        with self._write:
            self._commit()

    def unprepare(self) -> None:
        """Lets go of what was prepared and was not switched to."""
        with self._write:
            self._leaving += [(self._catalogue.change, rows) for rows in self._prepared.drain()]
            self._moved()

    # ------------------------------------------------------------ letting go

    def let_go(self) -> bool:
        """Takes removed rows out of the indexes once no search can still be looking at them; False if there were none."""
        with self._write:
            oldest = self._catalogue.oldest_in_use()
            # One that came back meanwhile, with an earlier edition of its collection, stays.
            back = {row for rows in self._prepared.rows for row in rows}  # or is about to come back
            gone = [r for number, rows in self._leaving if number <= oldest for r in self._catalogue.dead(rows)]
            gone = [row for row in gone if row not in back]
            self._leaving = [(number, rows) for number, rows in self._leaving if number > oldest]
            if gone:
                self._terms.remove(gone)
                self._spaces.remove(gone)
                self._memory.remove(gone)
                self._late.remove(gone)
            return bool(gone)

    def covered_change(self) -> int:
        """Up to which change the indexes hold what is visible, and nothing else. The caller holds the write lock."""
        return self._leaving[0][0] - 1 if self._leaving else self._catalogue.change

    # ------------------------------------------------------------ the indexes

    def _indexes(self) -> list[object]:
        return [self._terms.index, *self._spaces.indexes(), *self._memory.indexes()]

    def _take_in(self, connection: Connection, added: DocumentRuns) -> None:
        self._spaces.take_in(connection, list(zip(added.first_row.tolist(), added.n_rows.tolist(), strict=True)))
        for batch in read_chunks(connection, added.doc_number.tolist()):
            self._terms.add(batch)
            self._memory.add(batch)

    def _commit(self) -> None:
        self._terms.commit()
        self._memory.commit()
